"""Pure arithmetic over grants: what an access token leaves of its owner's."""

from collections.abc import Iterable, Iterator

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
