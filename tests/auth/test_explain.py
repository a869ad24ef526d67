"""Why somebody may do something somewhere, in words; and the words agree with the policy."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.effective import GrantRules
from auth.explain import explain
from auth.grants import TokenLimits, limited
from auth.identity import Provider
from auth.permissions import Grant, GrantSource, Group, Permission, Role, Scope
from auth.policy import Permit, Place, authorise, narrow
from tests.support.identities import a_grant, an_identity

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
RULES = GrantRules()
EAST = Place("east", "ml-team")
MANAGE = Permission.MANAGE_DEPLOYMENTS


def reasons(*grants: Grant, place: Place = EAST, **facts: Any) -> dict[Permission, str]:
    person = msgspec.structs.replace(an_identity(*grants), **facts)
    return {each.permission: each.reason for each in explain(person, place, rules=RULES, now=NOW)}


def test_what_allows_it_is_named_with_whence_it_comes() -> None:
    by_group = Grant(
        "grt_1",
        Role.DEPLOYER,
        Scope("east", ("ml-team",)),
        GrantSource.GROUP,
        group=Group(Provider.ENTRA, "1", "ML"),
    )
    by_settings = Grant("grt_2", Role.ADMIN, Scope(), GrantSource.BOOTSTRAP)
    assert reasons(by_group, a_grant(Role.DEPLOYER, "east"))[MANAGE] == (
        "By DEPLOYER in ml-team on east, from the group ML; by DEPLOYER on east, given by hand."
    )
    assert reasons(by_settings)[Permission.MANAGE_USERS] == "By ADMIN on every instance, from HUB_ADMINS."


@pytest.mark.parametrize(
    ("grants", "permission", "reason"),
    [
        ((), MANAGE, "No grant gives anything in ml-team on east."),
        ((a_grant(Role.ADMIN, "west"),), MANAGE, "No grant gives anything in ml-team on east."),
        ((a_grant(Role.DEPLOYER),), Permission.MANAGE_USERS, "It takes ADMIN, which no grant gives."),
        (
            (a_grant(Role.VIEWER, "east"),),
            MANAGE,
            "It takes DEPLOYER there; there is only VIEWER on east, given by hand.",
        ),
    ],
)
def test_what_is_missing_is_named(grants: tuple[Grant, ...], permission: Permission, reason: str) -> None:
    assert reasons(*grants)[permission] == reason


def test_a_deactivated_account_may_nothing() -> None:
    assert set(reasons(a_grant(Role.ADMIN), active=False).values()) == {"The account is deactivated."}


def test_groups_that_are_too_old_or_cannot_be_read_are_told() -> None:
    facts: dict[str, Any] = {
        "groups_synced_at": NOW - timedelta(hours=30),
        "groups_error": "Microsoft Graph answered 503",
    }
    assert reasons(**facts)[MANAGE] == (
        "No grant gives anything in ml-team on east. Groups count for 24 hours, and were last read at "
        "2026-11-27 06:00 UTC. Groups couldn't be read: Microsoft Graph answered 503"
    )
    assert "Groups" not in reasons(a_grant(Role.DEPLOYER), **facts)[MANAGE]  # by hand it is allowed anyway


def test_the_limit_of_a_token_is_told() -> None:
    grant = a_grant(Role.DEPLOYER)
    token = an_identity(grant, effective=limited([grant], TokenLimits(role=Role.VIEWER)))
    by_permission = {each.permission: each for each in explain(token, EAST, rules=RULES, now=NOW)}
    assert by_permission[Permission.VIEW_DEPLOYMENTS].allowed
    assert by_permission[MANAGE].reason == (
        "The person's grants allow it, but the access token is limited to less."
    )


@given(
    st.lists(
        st.builds(
            a_grant,
            st.sampled_from(Role),
            st.sampled_from([None, "east", "west"]),
            st.sampled_from([None, ("ml-team",), ("team-b",)]),
        ),
        max_size=4,
    ),
    st.sampled_from([None, "ml-team"]),
)
def test_the_words_agree_with_the_policy(grants: list[Grant], namespace: str | None) -> None:
    identity = an_identity(*grants)
    for decision in explain(identity, Place("east", namespace), rules=RULES, now=NOW):
        if namespace is None:
            allowed = narrow(identity, decision.permission).reaches("east")
        else:
            place = Place("east", namespace)
            allowed = isinstance(authorise(identity, decision.permission, place), Permit)
        assert decision.allowed is allowed
        assert bool(decision.grants) is allowed
        for grant in decision.grants:  # each of them alone would do
            assert narrow(an_identity(grant), decision.permission).reaches("east")
