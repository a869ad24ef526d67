"""Access tokens over GraphQL: made by whoever has signed in, shown once, worth no more than their owner."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from auth.permissions import Role, Scope
from auth.tokens import digest_of
from models.tables import AccessToken
from tests.support.administration import REVOKE
from tests.support.asking import bad_fields, code_of, refused
from tests.support.hub import HubUnderTest, running
from tests.support.people import register, sign_in
from tests.support.surface import World
from tests.support.waiting import until

CREATE = """mutation ($input: CreateAccessTokenInput!) { createAccessToken(input: $input) {
  secret accessToken { id name prefix role instanceIds namespaces expiresAt lastUsedAt } } }"""
REVOKE_TOKEN = """mutation ($id: ID!) { revokeAccessToken(input: {id: $id}) { revokedAccessTokenId } }"""
MINE = "{ viewer { accessTokens { id name lastUsedAt } } }"


async def create(hub: HubUnderTest, session: str, **given: Any) -> tuple[str, dict[str, Any]]:
    answer = (await hub.data(session, CREATE, {"input": {"name": "CI", **given}}))["createAccessToken"]
    return answer["secret"], answer["accessToken"]


async def places(hub: HubUnderTest, token: str) -> set[str]:
    """Where the token may deploy."""
    query = "{ instances { nodes { id namespaces(permission: MANAGE_DEPLOYMENTS) } } }"
    found = (await hub.data(token, query))["instances"]["nodes"]
    return {f"{node['id']}/{name}" for node in found for name in node["namespaces"]}


async def test_a_token_is_shown_once_and_is_worth_what_its_limits_leave(shared_world: World) -> None:
    hub = shared_world.hub
    session = await sign_in(hub, "limits", Role.DEPLOYER, Scope(None, ("ml-team", "team-b")))
    ends = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    limits = {"role": "DEPLOYER", "instanceIds": ["east"], "namespaces": ["ml-team", "default"]}
    secret, token = await create(hub, session, expiresAt=ends.isoformat(), **limits)
    token_id = token.pop("id")
    assert token == {
        "name": "CI",
        "prefix": secret[:10],
        "role": "DEPLOYER",
        "instanceIds": ["east"],
        "namespaces": ["default", "ml-team"],
        "expiresAt": ends.isoformat().replace("+00:00", "Z"),
        "lastUsedAt": None,
    }
    assert await places(hub, secret) == {"east/ml-team"}
    listed = await hub.data(session, MINE)
    assert listed["viewer"]["accessTokens"] == [{"id": token_id, "name": "CI", "lastUsedAt": None}]
    with hub.running.database.entered():
        (row,) = await AccessToken.filter(id=token_id).values()
        assert secret not in str(row)
        assert row["digest"] == digest_of(secret)


async def test_a_token_loses_what_its_owner_loses(shared_world: World) -> None:
    hub = shared_world.hub
    session = await sign_in(hub, "loses", Role.DEPLOYER, Scope("east", ("ml-team",)))
    secret, _ = await create(hub, session, namespaces=["ml-team"])
    assert await places(hub, secret) == {"east/ml-team"}
    viewer = await hub.data(session, "{ viewer { grants { id } } }")
    await hub.data(shared_world.admin, REVOKE, {"id": viewer["viewer"]["grants"][0]["id"]})

    async def is_worth_nothing() -> bool:
        return await places(hub, secret) == set()

    await until(is_worth_nothing)


async def test_no_token_makes_another_one(shared_world: World) -> None:
    """Not a limited one, which could else make a wider one, nor any other."""
    hub = shared_world.hub
    session = await sign_in(hub, "mints", Role.ADMIN)
    limited, _ = await create(hub, session, role="VIEWER")
    whole, _ = await create(hub, session)
    for secret in (limited, whole, shared_world.admin):
        error = await refused(hub, secret, CREATE, {"input": {"name": "Wider"}})
        assert (error["code"], error["reason"]) == ("FORBIDDEN", "SESSION_REQUIRED")
    mine = (await hub.data(session, MINE))["viewer"]["accessTokens"]
    assert len(mine) == 2


async def test_a_token_that_could_mean_something_else_is_refused(shared_world: World) -> None:
    hub = shared_world.hub
    session = await sign_in(hub, "wrong", Role.VIEWER)

    async def paths(**given: Any) -> list[str]:
        return await bad_fields(hub, session, CREATE, {"input": {"name": "CI", **given}})

    assert await paths(name=" ") == ["name"]
    assert await paths(name="n" * 101) == ["name"]
    assert await paths(instanceIds=[]) == ["instanceIds"]
    assert await paths(namespaces=[]) == ["namespaces"]
    assert await paths(instanceIds=["east", "nowhere"]) == ["instanceIds"]
    assert await paths(instanceIds=["east", "a/b"], namespaces=["A"]) == ["instanceIds.1", "namespaces.0"]
    assert await paths(expiresAt="2020-01-01T00:00:00Z") == ["expiresAt"]
    assert (await hub.data(session, MINE))["viewer"]["accessTokens"] == []


async def test_a_token_is_revoked_by_its_owner_an_admin_or_itself(shared_world: World) -> None:
    hub = shared_world.hub
    session = await sign_in(hub, "revokes", Role.VIEWER)
    other = await sign_in(hub, "somebody-else", Role.DEPLOYER)
    admin = await sign_in(hub, "an-admin", Role.ADMIN)
    made = [await create(hub, session, name=f"CI {number}") for number in range(3)]
    for secret, token in made:
        variables = {"id": token["id"]}
        assert await code_of(hub, other, REVOKE_TOKEN, variables) == "NOT_FOUND"
        assert await hub.data(secret, "{ viewer { displayName } }") == {"viewer": {"displayName": "revokes"}}
    first, second, third = made
    assert await code_of(hub, first[0], REVOKE_TOKEN, {"id": second[1]["id"]}) == "FORBIDDEN"
    for by, (secret, token) in ((session, first), (admin, second), (third[0], third)):
        done = await hub.data(by, REVOKE_TOKEN, {"id": token["id"]})
        assert done == {"revokeAccessToken": {"revokedAccessTokenId": token["id"]}}

        async def is_refused(secret: str = secret) -> bool:
            answer = await hub.ask(secret, "{ viewer { id } }")
            return "errors" in answer and answer["errors"][0]["extensions"]["reason"] == "TOKEN_REVOKED"

        await until(is_refused)
    assert (await hub.data(session, MINE))["viewer"]["accessTokens"] == []


async def test_tokens_are_made_thirty_times_an_hour(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        with hub.running.database.entered():
            await register("east")
        ada, bob = await sign_in(hub, "ada"), await sign_in(hub, "bob")
        for number in range(30):
            await create(hub, ada, name=f"CI {number}")
        error = await refused(hub, ada, CREATE, {"input": {"name": "One more"}})
        assert (error["code"], error["limit"], error["actual"]) == ("RATE_LIMITED", 30, 31)
        assert 0 < error["retryAfter"] <= 3600
        await create(hub, bob)
        assert len((await hub.data(ada, MINE))["viewer"]["accessTokens"]) == 30
