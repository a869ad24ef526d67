"""What grants are worth: the same for any two sets of grants that allow the same."""

from itertools import product

from hypothesis import example, given
from hypothesis import strategies as st

from auth.grants import worth
from auth.permissions import Grant, Permission, Role
from auth.policy import narrow
from tests.support.identities import a_grant, an_identity

INSTANCES, NAMESPACES = ("east", "west"), ("ml-team", "team-b")
PLACES = tuple(product((*INSTANCES, "any other"), (*NAMESPACES, "any other")))

some_namespaces = st.none() | st.sets(st.sampled_from(NAMESPACES)).map(lambda s: tuple(sorted(s)))
grants = st.lists(
    st.builds(a_grant, st.sampled_from(Role), st.none() | st.sampled_from(INSTANCES), some_namespaces),
    max_size=5,
)


def allowed(held: list[Grant]) -> set[tuple[Permission, str, str]]:
    """Every single thing that the policy allows, at places that grants name and at others."""
    identity = an_identity(*held)
    return {
        (permission, *place)
        for permission in Permission
        for place in PLACES
        if narrow(identity, permission).allows(*place)
    }


@given(grants, grants)
@example([a_grant(Role.VIEWER)], [a_grant(Role.VIEWER), a_grant(Role.VIEWER, "east", ("ml-team",))])
@example([a_grant(Role.DEPLOYER, "east")], [a_grant(Role.DEPLOYER, "east"), a_grant(Role.VIEWER, "east", ())])
@example([a_grant(Role.ADMIN, "east")], [a_grant(Role.DEPLOYER, "east")])
@example([a_grant(Role.ADMIN)], [a_grant(Role.DEPLOYER)])
@example(
    [a_grant(Role.VIEWER, None, ("ml-team",)), a_grant(Role.VIEWER, "east", ("ml-team", "team-b"))],
    [a_grant(Role.VIEWER, None, ("ml-team",)), a_grant(Role.VIEWER, "east", ("team-b",))],
)
def test_grants_are_worth_the_same_if_they_allow_the_same(one: list[Grant], other: list[Grant]) -> None:
    assert (worth(one) == worth(other)) == (allowed(one) == allowed(other))
