"""Roles given by hand, and why somebody may do something somewhere."""

from datetime import UTC, datetime

import msgspec

from auth import accounts
from auth.effective import GrantRules
from auth.explain import Decision, explain
from auth.identity import Identity, Profile
from auth.permissions import Grant, Permission, Role, Scope
from auth.policy import Permit, Place, Refusal, authorise, narrow
from resolvers.errors import NotFound
from resolvers.people import find_person, known_person
from resolvers.services import Services


class Assigned(msgspec.Struct, frozen=True):
    """A grant that was given or taken back, and its person afterwards."""

    grant_id: str
    person: Profile

    @property
    def grant(self) -> Grant:
        return next(grant for grant in self.person.grants if grant.id == self.grant_id)


async def assign_role(
    *, rules: GrantRules, permit: Permit, user_id: str, role: Role, scope: Scope
) -> Assigned:
    """Give somebody a role. Raises `auth.errors.InvalidRequest` and NotFound."""
    giver = _giver(permit)
    grant = await accounts.assign_role(user_id, role, scope, granted_by=giver.user_id)
    return Assigned(grant.id, await known_person(rules=rules, permit=permit, user_id=user_id))


async def revoke_role(*, rules: GrantRules, permit: Permit, grant_id: str) -> Assigned:
    """Take a grant back. Raises `auth.errors.LastAdmin`, `InvalidRequest` for a computed one, NotFound."""
    _giver(permit)
    user_id = await accounts.revoke_role(grant_id, rules=rules, now=datetime.now(UTC))
    return Assigned(grant_id, await known_person(rules=rules, permit=permit, user_id=user_id))


def _giver(permit: Permit) -> Identity:
    if permit.identity is None or not permit.scopes:
        raise NotFound
    return permit.identity


async def decisions(
    *, services: Services, asker: Identity, user_id: str, place: Place
) -> list[Decision] | Refusal | None:
    """What the policy says of somebody at a place: of oneself, or with MANAGE_USERS of anybody.

    None where there is no such person, or no such instance for one who would see it.
    """
    person: Profile | None = asker
    if user_id != asker.user_id:
        permit = authorise(asker, Permission.MANAGE_USERS, Place())
        if isinstance(permit, Refusal):
            return permit
        person = await find_person(rules=services.rules, permit=permit, user_id=user_id)
    instance_id = place.instance_id or ""
    sees = narrow(asker, Permission.VIEW_INSTANCES).reaches(instance_id)
    if person is None or (sees and services.registry.get(instance_id) is None):
        return None
    return explain(person, place, rules=services.rules, now=datetime.now(UTC))
