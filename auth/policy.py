"""The policy: pure, and the only maker of permits.

    authorise(identity, permission, place) → Permit | Refusal      one place
    narrow(identity, permission) → Permit                          all that is allowed, perhaps nothing

It raises nothing and knows neither HTTP nor GraphQL. A use case takes a `Permit` and reads the places from
it alone, so there is no other way in.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from auth.identity import Identity
from auth.permissions import LEAST_ROLE, Grant, Permission, Scope


class Place(msgspec.Struct, frozen=True):
    """Where something is to happen. Without an instance: the hub itself; without a namespace: the instance."""

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
    """A permit for exactly this place, or why not."""
    if identity is None:
        return Refusal(RefusalReason.UNAUTHENTICATED, permission, place)
    if _covers(identity.effective, permission, place):
        scope = Scope(place.instance_id, None if place.namespace is None else (place.namespace,))
        return Permit(identity, permission, (scope,))
    may_know = place.instance_id is None or _sees(identity, place)
    return Refusal(RefusalReason.FORBIDDEN if may_know else RefusalReason.HIDDEN, permission, place)


def narrow(identity: Identity | None, permission: Permission) -> Permit:
    """A permit for every place where the person has the permission."""
    grants = () if identity is None else identity.effective
    scopes = {grant.scope for grant in grants if grant.role >= LEAST_ROLE[permission]}
    return Permit(identity, permission, tuple(sorted(scopes, key=repr)))


def _sees(identity: Identity, place: Place) -> bool:
    seeing = Permission.VIEW_INSTANCES if place.namespace is None else Permission.VIEW_DEPLOYMENTS
    return _covers(identity.effective, seeing, place)


def _covers(grants: Iterable[Grant], permission: Permission, place: Place) -> bool:
    return any(g.role >= LEAST_ROLE[permission] and _contains(g.scope, place) for g in grants)


def _contains(scope: Scope, place: Place) -> bool:
    if place.instance_id is None:  # the hub itself: only a grant without a limit reaches it
        return scope.instance_id is None and scope.namespaces is None
    if scope.instance_id not in (None, place.instance_id):
        return False
    return place.namespace is None or scope.namespaces is None or place.namespace in scope.namespaces
