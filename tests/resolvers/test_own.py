"""Sessions and tokens are a person's own business, and of those who manage users: whatever leads to them."""

import pytest

from auth.grants import TokenLimits, limited
from auth.identity import Identity
from auth.permissions import Grant, Role
from resolvers.sessions import list_sessions
from resolvers.tokens import list_tokens
from tests.support.identities import a_grant, an_identity

ADMIN = a_grant(Role.ADMIN)
OTHERS = "usr_somebody_else"


def cut(limits: TokenLimits, *grants: Grant) -> Identity:
    return an_identity(*grants, effective=limited(grants, limits))


@pytest.mark.parametrize(
    "asker",
    [
        an_identity(),
        an_identity(a_grant(Role.DEPLOYER)),
        cut(TokenLimits(role=Role.DEPLOYER), ADMIN),
        cut(TokenLimits(instance_ids=("east",)), ADMIN),
    ],
)
async def test_others_are_none_of_ones_business(asker: Identity) -> None:
    """No database is there to be asked."""
    assert await list_sessions(asker=asker, user_id=OTHERS) is None
    assert await list_tokens(asker=asker, user_ids=[OTHERS]) == {OTHERS: None}


@pytest.mark.usefixtures("sqlite_database")
async def test_ones_own_are_and_all_are_an_admins() -> None:
    own = an_identity()
    assert await list_sessions(asker=own, user_id=own.user_id) == []
    assert await list_tokens(asker=own, user_ids=[own.user_id, OTHERS]) == {own.user_id: [], OTHERS: None}
    admin = an_identity(ADMIN)
    assert await list_sessions(asker=admin, user_id=OTHERS) == []
    assert await list_tokens(asker=admin, user_ids=[OTHERS]) == {OTHERS: []}
