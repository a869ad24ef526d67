"""Pure arithmetic over grants: what they are worth, and what an access token leaves of its owner's."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator

import msgspec

from auth.permissions import Grant, Role, Scope


class TokenLimits(msgspec.Struct, frozen=True):
    """What an access token is cut down to. None sets no limit; an empty tuple leaves nothing."""

    role: Role | None = None
    instance_ids: tuple[str, ...] | None = None
    namespaces: tuple[str, ...] | None = None


def limited(grants: Iterable[Grant], limits: TokenLimits) -> tuple[Grant, ...]:
    """The grants cut down to the limits: never wider than they were, nor than the limits."""
    return tuple(
        msgspec.structs.replace(grant, role=min(grant.role, limits.role or grant.role), scope=scope)
        for grant in grants
        for scope in _cut(grant.scope, limits)
    )


def _cut(scope: Scope, limits: TokenLimits) -> Iterator[Scope]:
    namespaces = _common(scope.namespaces, limits.namespaces)
    if namespaces == ():
        return
    instance = None if scope.instance_id is None else (scope.instance_id,)
    instances = _common(instance, limits.instance_ids)
    for instance_id in (None,) if instances is None else instances:
        yield Scope(instance_id, namespaces)


def _common(some: tuple[str, ...] | None, others: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if some is None or others is None:
        return others if some is None else some
    return tuple(sorted({*some} & {*others}))


def worth(grants: Iterable[Grant]) -> Hashable:
    """What the grants allow in all: equal for any two sets of grants by which the same is allowed."""
    known = list(grants)
    over_the_hub = any(grant.role is Role.ADMIN and grant.scope == Scope() for grant in known)
    return over_the_hub, *(
        _places(grant.scope for grant in known if grant.role >= role) for role in (Role.VIEWER, Role.DEPLOYER)
    )


def _places(scopes: Iterable[Scope]) -> Hashable:
    """All places of the scopes, each told once: the same for the same places."""
    everywhere: set[str] = set()
    """Namespaces of every instance."""
    whole: set[str] = set()
    """Instances with every namespace."""
    parts: dict[str, set[str]] = defaultdict(set)
    for scope in scopes:
        match scope:
            case Scope(None, None):
                return "all"
            case Scope(None, namespaces):
                everywhere.update(namespaces or ())
            case Scope(str(instance_id), None):
                whole.add(instance_id)
            case Scope(str(instance_id), namespaces):
                parts[instance_id].update(namespaces or ())
    rest = {name: parts[name] - everywhere for name in parts.keys() - whole}
    named = frozenset((name, frozenset(namespaces)) for name, namespaces in rest.items() if namespaces)
    return frozenset(everywhere), frozenset(whole), named
