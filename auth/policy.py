"""The policy: pure, and the only maker of permits.

    authorise(identity, permission, place) → Permit | Refusal      what is allowed of one place
    narrow(identity, permission) → Permit                          all that is allowed, perhaps nothing

It raises nothing and knows neither HTTP nor GraphQL. A use case takes a `Permit` and reads the places from
it alone, so there is no other way in.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from auth.identity import Identity
from auth.permissions import HUB_WIDE, LEAST_ROLE, Grant, Permission, Scope


class Place(msgspec.Struct, frozen=True):
    """Where something is to happen. Without an instance: the hub; without a namespace: the instance."""

    instance_id: str | None = None
    namespace: str | None = None


class RefusalReason(StrEnum):
    UNAUTHENTICATED = "UNAUTHENTICATED"
    HIDDEN = "HIDDEN"
    """The person may not even know that the place exists."""
    FORBIDDEN = "FORBIDDEN"


class Refusal(msgspec.Struct, frozen=True):
    reason: RefusalReason
    permission: Permission
    place: Place


class Permit(msgspec.Struct, frozen=True):
    """Leave to do one kind of thing at some places. Made by `authorise` and `narrow` alone."""

    identity: Identity | None
    permission: Permission
    scopes: tuple[Scope, ...]

    def allows(self, instance_id: str, namespace: str) -> bool:
        return any(
            scope.instance_id in (None, instance_id)
            and (scope.namespaces is None or namespace in scope.namespaces)
            for scope in self.scopes
        )

    def reaches(self, instance_id: str) -> bool:
        """Whether anything on the instance is allowed."""
        return any(scope.instance_id in (None, instance_id) for scope in self.scopes)

    def namespaces(self, instance_id: str) -> frozenset[str] | None:
        """The namespaces allowed on the instance; None means every one, empty none."""
        found: set[str] = set()
        for scope in self.scopes:
            if scope.instance_id in (None, instance_id):
                if scope.namespaces is None:
                    return None
                found.update(scope.namespaces)
        return frozenset(found)


def authorise(identity: Identity | None, permission: Permission, place: Place) -> Permit | Refusal:
    """A permit for what is allowed of this place, or why nothing is.

    For an instance without a namespace, the permit holds the allowed namespaces alone.
    """
    if identity is None:
        return Refusal(RefusalReason.UNAUTHENTICATED, permission, place)
    if scopes := _scopes(identity, permission, place):
        return Permit(identity, permission, scopes)
    may_know = place.instance_id is None or _sees(identity, place)
    return Refusal(RefusalReason.FORBIDDEN if may_know else RefusalReason.HIDDEN, permission, place)


def narrow(identity: Identity | None, permission: Permission) -> Permit:
    """A permit for every place where the person has the permission."""
    scopes = () if identity is None else _sorted(_held(identity, permission))
    return Permit(identity, permission, scopes)


def allowing(grants: Iterable[Grant], permission: Permission, place: Place) -> Iterator[Grant]:
    """Those by which this is allowed there; without a namespace, in some namespace of the instance."""
    for grant in grants:
        if _holds(grant, permission) and _within(grant.scope, place) is not None:
            yield grant


def concerns(identity: Identity, user_id: str) -> bool:
    """Whether a person's sessions and tokens are the asker's business: their own, or with MANAGE_USERS."""
    return identity.user_id == user_id or bool(narrow(identity, Permission.MANAGE_USERS).scopes)


def _sees(identity: Identity, place: Place) -> bool:
    seeing = Permission.VIEW_INSTANCES if place.namespace is None else Permission.VIEW_DEPLOYMENTS
    return bool(_scopes(identity, seeing, place))


def _scopes(identity: Identity, permission: Permission, place: Place) -> tuple[Scope, ...]:
    return _sorted(
        within for scope in _held(identity, permission) if (within := _within(scope, place)) is not None
    )


def _held(identity: Identity, permission: Permission) -> Iterable[Scope]:
    for grant in identity.effective:
        if _holds(grant, permission):
            yield grant.scope


def _holds(grant: Grant, permission: Permission) -> bool:
    limited = grant.scope != Scope()
    return grant.role >= LEAST_ROLE[permission] and not (limited and permission in HUB_WIDE)


def _within(scope: Scope, place: Place) -> Scope | None:
    """The part of the scope that lies in the place; the hub itself lies only in a scope without limits."""
    if place.instance_id is None:
        return scope if scope == Scope() else None
    if scope.instance_id not in (None, place.instance_id):
        return None
    if place.namespace is None:
        return Scope(place.instance_id, scope.namespaces)
    if scope.namespaces is None or place.namespace in scope.namespaces:
        return Scope(place.instance_id, (place.namespace,))
    return None


def _sorted(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    return tuple(sorted(set(scopes), key=repr))
