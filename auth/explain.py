"""Why somebody may do something somewhere, or not: the policy's decisions in words."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from auth.effective import GrantRules
from auth.identity import Identity, Profile
from auth.permissions import HUB_WIDE, LEAST_ROLE, Grant, GrantSource, Permission
from auth.policy import Place, allowing


class Decision(msgspec.Struct, frozen=True):
    permission: Permission
    allowed: bool
    grants: tuple[Grant, ...]
    """Those that allow it."""
    reason: str


def explain(person: Profile, place: Place, *, rules: GrantRules, now: datetime) -> list[Decision]:
    """What the policy says of each permission there; without a namespace, of any namespace.

    Of an `Identity` by the credential that was shown, of any other profile by all its grants.
    """
    effective = person.effective if isinstance(person, Identity) else person.grants
    return [_decide(person, effective, permission, place, rules, now) for permission in Permission]


def _decide(
    person: Profile,
    effective: Iterable[Grant],
    permission: Permission,
    place: Place,
    rules: GrantRules,
    now: datetime,
) -> Decision:
    if not person.active:
        return Decision(permission, False, (), "The account is deactivated.")
    grants = tuple(allowing(effective, permission, place))
    if grants:
        return Decision(permission, True, grants, f"By {'; by '.join(map(_told, grants))}.")
    if tuple(allowing(person.grants, permission, place)):
        limited = "The person's grants allow it, but the access token is limited to less."
        return Decision(permission, False, (), limited)
    why = [_lacking(person.grants, permission, place), *_of_groups(person, rules, now)]
    return Decision(permission, False, (), " ".join(why))


def _lacking(grants: Sequence[Grant], permission: Permission, place: Place) -> str:
    least = LEAST_ROLE[permission].name
    if permission in HUB_WIDE:
        return f"It takes {least}, which no grant gives."
    there = tuple(allowing(grants, Permission.VIEW_DEPLOYMENTS, place))
    if there:
        return f"It takes {least} there; there is only {' and '.join(map(_told, there))}."
    namespaces = None if place.namespace is None else [place.namespace]
    return f"No grant gives anything {_where(place.instance_id, namespaces)}."


def _of_groups(person: Profile, rules: GrantRules, now: datetime) -> Iterable[str]:
    """What stands against grants that the person's groups might give."""
    if person.groups_synced_at is not None and not rules.fresh(person.groups_synced_at, now=now):
        hours = rules.group_max_age.total_seconds() / 3600
        read_at = f"{person.groups_synced_at:%Y-%m-%d %H:%M} UTC"
        yield f"Groups count for {hours:g} hours, and were last read at {read_at}."
    if person.groups_error is not None:
        yield f"Groups couldn't be read: {person.groups_error}"


def _told(grant: Grant) -> str:
    scope = grant.scope
    role = f"{grant.role.name} {_where(scope.instance_id, scope.namespaces)}"
    match grant.source:
        case GrantSource.GROUP if grant.group is not None:
            return f"{role}, from the group {grant.group.name or grant.group.group_id}"
        case GrantSource.BOOTSTRAP:
            return f"{role}, from HUB_ADMINS"
        case _:
            return f"{role}, given by hand"


def _where(instance_id: str | None, namespaces: Sequence[str] | None) -> str:
    instance = "on every instance" if instance_id is None else f"on {instance_id}"
    return instance if namespaces is None else f"in {', '.join(namespaces)} {instance}"
