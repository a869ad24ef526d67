"""Who may ask what: bearer tokens, each for the whole cluster or for some namespaces."""

import secrets

import msgspec

from hub.demo.faults import Verb
from hub.demo.resources import NAMESPACES
from hub.demo.routing import Target
from hub.demo.status import StatusError, forbidden, unauthorized

PUBLIC_PATHS = frozenset({"/version", "/healthz", "/livez", "/readyz"})


class Account(msgspec.Struct, frozen=True):
    """Whom a token stands for."""

    name: str
    namespaces: frozenset[str] | None = None
    """None may do everything everywhere."""


class Tokens:
    """The valid tokens of one cluster."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def issue(self, *, namespaces: frozenset[str] | None = None, name: str = "hub") -> str:
        """A new token, for all or for some namespaces."""
        token = secrets.token_urlsafe(24)
        self._accounts[token] = Account(f"system:serviceaccount:airunway-system:{name}", namespaces)
        return token

    def revoke(self, token: str) -> None:
        """Requests with it get a 401 from now on; open watches go on, as on a real server."""
        self._accounts.pop(token, None)

    def account(self, authorization: str | None, path: str) -> Account | None:
        """Raises a 401; None is an anonymous person at a public path."""
        if authorization is None and path in PUBLIC_PATHS:
            return None
        scheme, _, token = (authorization or "").partition(" ")
        account = self._accounts.get(token.strip())
        if scheme.lower() != "bearer" or account is None:
            raise unauthorized()
        return account


def refusal(account: Account | None, verb: Verb, target: Target) -> StatusError | None:
    """The 403 that a request gets, if the account may not do it."""
    own = target.name if target.resource == NAMESPACES else target.namespace
    if account is not None and (account.namespaces is None or own in account.namespaces):
        return None
    scope = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
    user = "system:anonymous" if account is None else account.name
    why = (
        f'User "{user}" cannot {verb} resource "{target.resource.plural}" '
        f'in API group "{target.resource.group}" {scope}'
    )
    return forbidden(target.resource, target.name, why)
