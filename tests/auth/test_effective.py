"""Effective grants are the union of what was given by hand, by groups and by HUB_ADMINS; and tokens are never
worth more. Random histories, on both databases."""

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth.accounts import (
    assign_role,
    ensure_user,
    grant_role,
    issue_token,
    revoke_role,
    revoke_token,
    set_active,
)
from auth.effective import GrantRules
from auth.errors import AuthError, Reason
from auth.grants import TokenLimits
from auth.identity import Identity, Method, Provider
from auth.listing import PeopleFilter, find_people, list_people
from auth.lookup import TokenDigest, load_identities
from auth.mappings import MappingChange, create_mapping, delete_mapping, update_mapping
from auth.people import Person
from auth.permissions import Grant, GrantSource, Group, Permission, Role, Scope
from auth.places import forget_instance
from auth.policy import narrow
from auth.tokens import digest_of
from models.ids import new_id
from models.tables import AccessToken, GroupMapping, Instance, Membership, RoleAssignment, User
from resolvers.errors import NeedsSession
from resolvers.services import NEW_TOKENS
from resolvers.tokens import create_token
from tests.support.examples import examples
from tests.support.identities import an_identity
from tests.support.people import register

pytestmark = pytest.mark.usefixtures("database")

INSTANCES, NAMESPACES, GROUPS = ("east", "west"), ("ml-team", "team-b"), ("1", "2", "3")
PROVIDERS = (Provider.ENTRA, Provider.GITHUB)
MAX_AGE = timedelta(hours=24)
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)

RANDOM = settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def forget_everything() -> None:
    for table in (AccessToken, Membership, RoleAssignment, GroupMapping, User, Instance):
        await table.all().delete()


# ---------------------------------------------------------------- the union

roles = st.sampled_from(Role)
some_namespaces = st.none() | st.sets(st.sampled_from(NAMESPACES), min_size=1).map(lambda s: tuple(sorted(s)))
scopes = st.builds(Scope, st.none() | st.sampled_from(INSTANCES), some_namespaces)
ages = st.none() | st.sampled_from([0, 23, 24, 25, 1000])
"""Hours since groups were read."""


@dataclass(frozen=True)
class Somebody:
    provider: Provider
    active: bool
    by_hand: list[tuple[Role, Scope]]
    groups: dict[str, int]
    """How many hours ago each was read."""
    synced: int | None
    bootstrap: bool


people = st.lists(
    st.builds(
        Somebody,
        st.sampled_from(PROVIDERS),
        st.booleans(),
        st.lists(st.tuples(roles, scopes), max_size=3, unique_by=repr),
        st.dictionaries(st.sampled_from(GROUPS), st.sampled_from([0, 24, 25])),
        ages,
        st.booleans(),
    ),
    max_size=4,
)
mappings = st.lists(
    st.tuples(st.sampled_from(PROVIDERS), st.sampled_from(GROUPS), roles, scopes), max_size=6, unique_by=repr
)
Told = tuple[GrantSource, Role, Scope, str | None]


def naive(somebody: Somebody, known: list[tuple[Provider, str, Role, Scope]]) -> Iterator[Told]:
    """DESIGN.md read aloud."""
    if somebody.bootstrap:
        yield (GrantSource.BOOTSTRAP, Role.ADMIN, Scope(), None)
    for role, scope in somebody.by_hand:
        yield (GrantSource.MANUAL, role, scope, None)
    if somebody.synced is not None and somebody.synced <= 24:
        for provider, group_id, role, scope in known:
            if provider is somebody.provider and somebody.groups.get(group_id, 99) <= 24:
                yield (GrantSource.GROUP, role, scope, group_id)


def told(grant: Grant) -> Told:
    group_id = None if grant.group is None else grant.group.group_id
    return (grant.source, grant.role, grant.scope, group_id)


async def write(
    several: list[Somebody], known: list[tuple[Provider, str, Role, Scope]]
) -> tuple[list[str], GrantRules]:
    """All of it into an empty database: the people's ids, and the rules that name the administrators."""
    await forget_everything()
    ids, administrators = [], set()
    for number, somebody in enumerate(several):
        person = Person(somebody.provider, f"subject {number}")
        user_id = await ensure_user(person, display_name=f"Person {number}")
        synced_at = None if somebody.synced is None else NOW - timedelta(hours=somebody.synced)
        await User.filter(id=user_id).update(active=somebody.active, groups_synced_at=synced_at)
        for role, scope in somebody.by_hand:
            await RoleAssignment.create(id=new_id("grt"), user_id=user_id, **_columns(role, scope))
        for group_id, hours in somebody.groups.items():
            row = await Membership.create(id=new_id("mem"), user_id=user_id, group_id=group_id)
            await Membership.filter(id=row.id).update(read_at=NOW - timedelta(hours=hours))
        ids.append(user_id)
        if somebody.bootstrap:
            administrators.add(person)
    for provider, group_id, role, scope in known:
        columns = _columns(role, scope) | {"group_id": group_id, "group_name": group_id}
        await GroupMapping.create(id=new_id("map"), provider=provider.lower(), **columns)
    return ids, GrantRules(administrators=frozenset(administrators), group_max_age=MAX_AGE)


def _columns(role: Role, scope: Scope) -> dict[str, Any]:
    namespaces = None if scope.namespaces is None else list(scope.namespaces)
    return {"role": int(role), "instance_id": scope.instance_id, "namespaces": namespaces}


@RANDOM
@given(people, mappings)
async def test_effective_grants_are_the_union(
    several: list[Somebody], known: list[tuple[Provider, str, Role, Scope]]
) -> None:
    ids, rules = await write(several, known)
    found = await find_people(ids, rules=rules, now=NOW)
    for user_id, somebody in zip(ids, several, strict=True):
        grants = found[user_id].grants
        assert sorted(map(told, grants), key=repr) == sorted(naive(somebody, known), key=repr)
        assert len({grant.id for grant in grants}) == len(grants)
    again = await find_people(ids, rules=rules, now=NOW)
    assert again == found  # the ids of computed grants too


@RANDOM
@given(people, mappings, st.none() | st.sets(roles).map(tuple), st.none() | st.sampled_from(INSTANCES))
async def test_people_are_found_by_their_effective_grants(
    several: list[Somebody],
    known: list[tuple[Provider, str, Role, Scope]],
    wanted_roles: tuple[Role, ...] | None,
    instance_id: str | None,
) -> None:
    ids, rules = await write(several, known)

    def matches(somebody: Somebody) -> bool:
        if wanted_roles is None and instance_id is None:
            return True
        return any(
            (wanted_roles is None or role in wanted_roles)
            and (instance_id is None or scope.instance_id in (None, instance_id))
            for _, role, scope, _ in naive(somebody, known)
        )

    wanted = PeopleFilter(roles=wanted_roles, instance_id=instance_id)
    found = await list_people(wanted, first=100, after=None, rules=rules, now=NOW)
    expected = [user_id for user_id, somebody in zip(ids, several, strict=True) if matches(somebody)]
    assert [person.user_id for person in found.page] == expected
    assert found.total == len(expected)


# ---------------------------------------------------------------- tokens

PLACES = tuple(product((*INSTANCES, "any other"), (*NAMESPACES, "any other")))


def rights(grants: tuple[Grant, ...]) -> set[tuple[Permission, str, str]]:
    identity = an_identity(*grants)
    return {
        (permission, *place)
        for permission in Permission
        for place in PLACES
        if narrow(identity, permission).allows(*place)
    }


def within(limits: TokenLimits) -> set[tuple[Permission, str, str]]:
    """What a token with these limits could be worth at the most, read from the limits alone."""
    role = limits.role or Role.ADMIN
    least = {"VIEW_INSTANCES": 1, "VIEW_DEPLOYMENTS": 1, "MANAGE_DEPLOYMENTS": 2}
    unlimited = limits.instance_ids is None and limits.namespaces is None
    return {
        (permission, instance_id, namespace)
        for permission in Permission
        for instance_id, namespace in PLACES
        if role >= least.get(permission, 3)
        and (permission in least or unlimited)
        and (limits.instance_ids is None or instance_id in limits.instance_ids)
        and (limits.namespaces is None or namespace in limits.namespaces)
    }


@dataclass
class History:
    """One person and what happens to them; everything is chosen by the seed."""

    chance: random.Random
    owner: str = ""
    other: str = ""
    rules: GrantRules = field(default_factory=lambda: GrantRules(group_max_age=MAX_AGE))
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    secrets: dict[str, TokenLimits] = field(default_factory=dict)
    """Every token of the owner, with its limits as they were asked for."""

    async def begin(self) -> None:
        await forget_everything()
        await register(*INSTANCES)
        self.owner = await ensure_user(Person(Provider.ENTRA, "owner"))
        self.other = await ensure_user(Person(Provider.ENTRA, "other"))
        await grant_role(self.other, Role.ADMIN, Scope(), granted_by=None)

    def some(self, of: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(self.chance.sample(of, self.chance.randint(1, len(of)))))

    def scope(self, role: Role) -> Scope:
        if role is Role.ADMIN:
            return Scope()
        instance_id = self.chance.choice((None, *INSTANCES))
        return Scope(instance_id, self.chance.choice((None, self.some(NAMESPACES))))

    async def assign(self) -> None:
        role = self.chance.choice(list(Role))
        await assign_role(self.owner, role, self.scope(role), granted_by=self.other)

    async def revoke(self) -> None:
        for row in await RoleAssignment.filter(user_id=self.owner).limit(1):
            await revoke_role(row.id, rules=self.rules, now=self.now)

    async def map_group(self) -> None:
        role = self.chance.choice(list(Role))
        await create_mapping(
            Group(Provider.ENTRA, self.chance.choice(GROUPS), "A group"),
            role,
            self.scope(role),
            created_by=self.other,
            dry_run=self.chance.random() < 0.2,
            rules=self.rules,
            now=self.now,
        )

    async def change_mapping(self) -> None:
        for row in await GroupMapping.all().limit(1):
            change = MappingChange(
                role=self.chance.choice((None, *Role)),
                instance_id=self.chance.choice((None, *INSTANCES)),
                namespaces=self.chance.choice((None, self.some(NAMESPACES))),
            )
            await update_mapping(row.id, change, dry_run=False, rules=self.rules, now=self.now)

    async def unmap_group(self) -> None:
        for row in await GroupMapping.all().limit(1):
            await delete_mapping(row.id, dry_run=False, rules=self.rules, now=self.now)

    async def read_groups(self) -> None:
        await Membership.filter(user_id=self.owner).delete()
        for group_id in self.some(GROUPS):
            await Membership.create(id=new_id("mem"), user_id=self.owner, group_id=group_id)
        await Membership.filter(user_id=self.owner).update(read_at=self.now)
        await User.filter(id=self.owner).update(groups_synced_at=self.now)

    async def let_time_pass(self) -> None:
        self.now += timedelta(hours=self.chance.choice((1, 30)))

    async def close_or_open(self) -> None:
        await set_active(self.owner, active=self.chance.random() < 0.6, rules=self.rules, now=self.now)

    async def remove_and_register(self) -> None:
        await forget_instance(self.chance.choice(INSTANCES))

    async def make_a_token(self) -> None:
        limits = TokenLimits(
            self.chance.choice((None, *Role)),
            self.chance.choice((None, self.some(INSTANCES))),
            self.chance.choice((None, self.some(NAMESPACES))),
        )
        _, minted = await issue_token(self.owner, name="t", limits=limits, expires_at=None, now=self.now)
        self.secrets[minted.secret] = limits

    async def make_a_token_by_a_token(self) -> None:
        for identity in await self.by_tokens():
            with pytest.raises(NeedsSession):
                await create_token(
                    owner=identity, name="t", limits=TokenLimits(), expires_at=None, rate=NEW_TOKENS
                )

    async def revoke_a_token(self) -> None:
        for row in await AccessToken.filter(user_id=self.owner).limit(1):
            await revoke_token(row.id, now=self.now)

    async def identities(self) -> dict[str, Identity | Reason]:
        proofs = {secret: TokenDigest(digest_of(secret)) for secret in self.secrets}
        found = await load_identities(set(proofs.values()), rules=self.rules, now=self.now)
        return {secret: found[proof] for secret, proof in proofs.items()}

    async def by_tokens(self) -> list[Identity]:
        return [each for each in (await self.identities()).values() if isinstance(each, Identity)]

    async def check(self) -> None:
        owner = (await find_people([self.owner], rules=self.rules, now=self.now))[self.owner]
        assert await AccessToken.all().count() == len(self.secrets)
        for secret, identity in (await self.identities()).items():
            if not isinstance(identity, Identity):
                continue
            assert owner.active
            assert identity.method is Method.ACCESS_TOKEN
            worth = rights(identity.effective)
            assert worth <= rights(owner.grants)
            assert worth <= within(self.secrets[secret])


STEPS = (
    *(History.assign, History.map_group, History.read_groups, History.make_a_token) * 2,
    *(History.remove_and_register,) * 2,
    History.revoke,
    History.change_mapping,
    History.unmap_group,
    History.let_time_pass,
    History.close_or_open,
    History.make_a_token_by_a_token,
    History.revoke_a_token,
)


@RANDOM
@given(st.integers(0, 2**32), st.lists(st.sampled_from(STEPS), min_size=8, max_size=24))
async def test_no_history_widens_a_token_beyond_its_owner(seed: int, steps: list[Any]) -> None:
    history = History(random.Random(seed))
    await history.begin()
    for step in steps:
        with suppress(AuthError):  # refused: a conflict, or a place that an admin's role can't have
            await step(history)
        await history.check()


async def test_who_registers_a_name_again_begins_with_no_rights_there() -> None:
    """Nothing that named the instance is left: no grant, no mapping, no token; and nothing became wider."""
    history = History(random.Random(0))
    await history.begin()
    owner, other, now = history.owner, history.other, history.now
    await assign_role(owner, Role.VIEWER, Scope(None, ("ml-team",)), granted_by=other)
    await assign_role(owner, Role.DEPLOYER, Scope("east"), granted_by=other)
    await create_mapping(
        Group(Provider.ENTRA, "1", "A group"),
        Role.DEPLOYER,
        Scope("east", ("team-b",)),
        created_by=other,
        dry_run=False,
        rules=history.rules,
        now=now,
    )
    await history.read_groups()
    for instance_ids in (("east",), ("east", "west"), None):
        limits = TokenLimits(instance_ids=instance_ids)
        _, minted = await issue_token(owner, name="t", limits=limits, expires_at=None, now=now)
        history.secrets[minted.secret] = limits
    await forget_instance("east")
    await history.check()
    found = (await find_people([owner], rules=history.rules, now=now))[owner]
    assert [(grant.role, grant.scope) for grant in found.grants] == [(Role.VIEWER, Scope(None, ("ml-team",)))]
    only_east, both, all_ = [rights(each.effective) for each in await history.by_tokens()]
    assert only_east == set()
    assert both == {right for right in rights(found.grants) if right[1] == "west"}
    assert all_ == rights(found.grants)
