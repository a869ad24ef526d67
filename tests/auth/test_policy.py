"""The policy agrees with a naive union over single places, for every combination of grants."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.grants import TokenLimits, limited
from auth.permissions import Grant, Permission, Role
from auth.policy import Permit, Place, Refusal, RefusalReason, authorise, narrow
from tests.support.identities import a_grant, an_identity

INSTANCES = ("east", "west", "north")
NAMESPACES = ("ml-team", "team-b", "data")
PLACES = tuple(product(INSTANCES, NAMESPACES))
ABOUT_THE_HUB = {
    Permission.MANAGE_USERS,
    Permission.MANAGE_GROUP_MAPPINGS,
    Permission.MANAGE_INSTANCES,
    Permission.VIEW_AUDIT_LOG,
}

some_namespaces = st.none() | st.sets(st.sampled_from(NAMESPACES), min_size=1).map(lambda s: tuple(sorted(s)))
grants = st.lists(
    st.builds(a_grant, st.sampled_from(Role), st.none() | st.sampled_from(INSTANCES), some_namespaces),
    max_size=4,
)
limits = st.builds(
    TokenLimits,
    st.none() | st.sampled_from(Role),
    st.none() | st.sets(st.sampled_from(INSTANCES)).map(lambda s: tuple(sorted(s))),
    st.none() | st.sets(st.sampled_from(NAMESPACES)).map(lambda s: tuple(sorted(s))),
)


def naive(held: list[Grant], permission: Permission, instance_id: str, namespace: str) -> bool:
    """The table of API.md, read aloud."""
    for grant in held:
        everywhere = grant.scope.instance_id is None and grant.scope.namespaces is None
        if permission in ABOUT_THE_HUB:
            if grant.role == Role.ADMIN and everywhere:
                return True
            continue
        enough = grant.role >= (Role.DEPLOYER if permission == Permission.MANAGE_DEPLOYMENTS else Role.VIEWER)
        at_instance = grant.scope.instance_id in (None, instance_id)
        at_namespace = grant.scope.namespaces is None or namespace in grant.scope.namespaces
        if enough and at_instance and at_namespace:
            return True
    return False


@given(grants, st.sampled_from(Permission))
def test_narrow_is_the_union_of_the_grants(held: list[Grant], permission: Permission) -> None:
    permit = narrow(an_identity(*held), permission)
    for instance_id, namespace in PLACES:
        expected = naive(held, permission, instance_id, namespace)
        assert permit.allows(instance_id, namespace) == expected
        within = permit.namespaces(instance_id)
        assert (within is None or namespace in within) == expected
    for instance_id in INSTANCES:
        allowed = any(naive(held, permission, instance_id, namespace) for namespace in NAMESPACES)
        assert permit.reaches(instance_id) == allowed


@given(grants, st.sampled_from(Permission), st.sampled_from(PLACES))
def test_authorise_permits_exactly_its_place(
    held: list[Grant], permission: Permission, place: tuple[str, str]
) -> None:
    answer = authorise(an_identity(*held), permission, Place(*place))
    assert isinstance(answer, Permit) == naive(held, permission, *place)
    if isinstance(answer, Permit):
        assert [other for other in PLACES if answer.allows(*other)] == [place]
    elif naive(held, Permission.VIEW_DEPLOYMENTS, *place):
        assert answer.reason is RefusalReason.FORBIDDEN
    else:
        assert answer.reason is RefusalReason.HIDDEN


@given(grants, st.sampled_from(Permission), st.sampled_from(INSTANCES))
def test_a_permit_for_an_instance_is_no_wider_than_its_grants(
    held: list[Grant], permission: Permission, instance_id: str
) -> None:
    answer = authorise(an_identity(*held), permission, Place(instance_id))
    allowed = {place for place in PLACES if place[0] == instance_id and naive(held, permission, *place)}
    if isinstance(answer, Refusal):
        assert not allowed
    else:
        assert {place for place in PLACES if answer.allows(*place)} == allowed


@given(grants, limits, st.sampled_from(Permission), st.sampled_from(PLACES))
def test_a_token_is_never_wider_than_its_owner_or_its_limits(
    held: list[Grant], cut: TokenLimits, permission: Permission, place: tuple[str, str]
) -> None:
    token = an_identity(*held, effective=limited(held, cut))
    may = narrow(token, permission).allows(*place)
    within_limits = naive([a_grant(cut.role or Role.ADMIN)], permission, *place) and (
        (cut.instance_ids is None or place[0] in cut.instance_ids)
        and (cut.namespaces is None or place[1] in cut.namespaces)
    )
    hub_wide_within_limits = permission not in ABOUT_THE_HUB or (
        cut.instance_ids is None and cut.namespaces is None
    )
    assert may == (naive(held, permission, *place) and within_limits and hub_wide_within_limits)


@pytest.mark.parametrize("permission", sorted(ABOUT_THE_HUB))
def test_the_hub_itself_is_an_unlimited_admins(permission: Permission) -> None:
    admin = an_identity(a_grant(Role.ADMIN))
    token = an_identity(a_grant(Role.ADMIN), effective=(a_grant(Role.ADMIN, "east"),))
    deployer = an_identity(a_grant(Role.DEPLOYER))
    assert isinstance(authorise(admin, permission, Place()), Permit)
    for person in (token, deployer):
        refusal = authorise(person, permission, Place())
        assert refusal == Refusal(RefusalReason.FORBIDDEN, permission, Place())
    assert isinstance(authorise(token, permission, Place("east")), Refusal)
    assert narrow(token, permission).scopes == ()


def test_nobody_is_told_to_sign_in() -> None:
    refusal = authorise(None, Permission.VIEW_INSTANCES, Place("east"))
    assert refusal == Refusal(RefusalReason.UNAUTHENTICATED, Permission.VIEW_INSTANCES, Place("east"))
    assert narrow(None, Permission.VIEW_INSTANCES).scopes == ()


def test_equal_rights_are_equal_whatever_the_order() -> None:
    one, other = a_grant(Role.VIEWER, "east", ("data",)), a_grant(Role.DEPLOYER)
    assert an_identity(one, other).rights == an_identity(other, one, one).rights
    assert an_identity(one).rights != an_identity(other).rights
