"""What passes between a provider and whoever signs somebody in by it."""

from typing import Protocol

import msgspec

from auth.people import Person
from auth.permissions import Group
from auth.providers.errors import ProviderError


class Begun(msgspec.Struct, frozen=True):
    """A sign-in that has begun: where the browser goes, and what is to be remembered until it is back."""

    url: str
    state: str
    verifier: str
    """PKCE's."""
    nonce: str | None
    """None where there is no ID token that could repeat it."""

    def __repr__(self) -> str:
        return "<Begun>"


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that is back, with what was remembered of its going."""

    code: str
    issuer: str | None
    """The `iss` of the callback's address."""
    redirect_uri: str
    verifier: str
    nonce: str | None

    def __repr__(self) -> str:
        return "<Callback>"


class Groups(msgspec.Struct, frozen=True):
    """The groups that a person is in."""

    found: tuple[Group, ...] = ()
    hidden: frozenset[str] = frozenset()
    """Ids of organisations that are the person's, and weren't shown: whether they still are isn't known.
    Groups within them have ids that begin with theirs and a slash."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom a provider vouches for."""

    person: Person
    display_name: str
    email: str | None
    email_verified: bool
    """Whether the provider knows that the address is theirs. Entra never does."""
    avatar_url: str | None


class GroupsRead(msgspec.Struct, frozen=True, kw_only=True):
    groups: Groups | ProviderError
    """Or why they couldn't be read."""
    token: str | None
    """With which they can be read again; None if the provider gave none."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class SignedIn(GroupsRead, frozen=True, kw_only=True):
    profile: Profile


class Provider(Protocol):
    """One way to sign in. Everything raises `auth.providers.errors.ProviderError`."""

    async def begin(self, *, redirect_uri: str, choose_account: bool = False) -> Begun:
        """`choose_account`: ask which account to use, even if there is only one. Some providers can't."""

    async def finish(self, callback: Callback) -> SignedIn:
        """Who it is: proven, and admitted as far as this provider's settings say."""

    async def read_groups(self, person: Person, *, token: str) -> GroupsRead:
        """The person's groups as they are now. The token is used up: the one that is returned replaces it.

        Raises `Expired` if only a new sign-in brings another token, and `NotAdmitted` for somebody who may
        no longer sign in.
        """
