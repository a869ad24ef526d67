"""What whoever is asking is told of themselves, live: over WebSocket, as tabs have it open."""

from datetime import UTC, datetime, timedelta
from typing import Any

from auth.accounts import create_token, ensure_user
from auth.grants import TokenLimits
from auth.identity import Provider
from auth.people import Person
from auth.permissions import Role, Scope
from models.bus import publish
from models.tables import Session
from tests.support.administration import ASSIGN, CREATE_MAPPING, DELETE_MAPPING, MAPPING
from tests.support.hub import GraphqlSocket
from tests.support.people import id_of, put_into_groups, sign_in
from tests.support.surface import World

EVENTS = """subscription { viewerEvents { type viewer {
  displayName isAdmin grants { role source group { groupId } } accessTokens { name } } } }"""


async def told(socket: GraphqlSocket) -> tuple[str, list[tuple[str, str]]]:
    event = await socket.next()
    grants = [(grant["role"], grant["source"]) for grant in event["viewer"]["grants"]]
    return event["type"], grants


async def assign(world: World, user_id: str, **given: Any) -> None:
    await world.hub.data(world.admin, ASSIGN, {"input": {"userId": user_id, **given}})


async def test_changed_grants_are_told_whatever_they_come_from(world: World) -> None:
    hub = world.hub
    token = await sign_in(hub, "tid/1", provider=Provider.ENTRA)
    user_id = await id_of(hub, token)
    async with hub.socket(token) as socket:
        await socket.subscribe(EVENTS)
        await socket.is_quiet()
        await assign(world, user_id, role="VIEWER", instanceId="east")
        assert await told(socket) == ("GRANTS_CHANGED", [("VIEWER", "MANUAL")])
        made = await hub.data(world.admin, CREATE_MAPPING, {"input": {**MAPPING, "role": "VIEWER"}})
        await socket.is_quiet()  # they aren't in the group
        with hub.running.database.entered():
            await put_into_groups(user_id, ["ml"])
        # What it gives they had: nothing else in the world would change, and they are told all the same.
        assert await told(socket) == ("GRANTS_CHANGED", [("VIEWER", "MANUAL"), ("VIEWER", "GROUP")])
        mapping_id = made["createGroupMapping"]["groupMapping"]["id"]
        await hub.data(world.admin, DELETE_MAPPING, {"input": {"id": mapping_id}})
        assert await told(socket) == ("GRANTS_CHANGED", [("VIEWER", "MANUAL")])
        await socket.is_quiet()


async def test_others_changes_are_nobodys_message(world: World) -> None:
    """Two people with the same rights, who ask the same: most other streams they would share."""
    hub = world.hub
    ada, bob = await sign_in(hub, "ada", Role.VIEWER), await sign_in(hub, "bob", Role.VIEWER)
    async with hub.socket(ada) as hers, hub.socket(bob) as his:
        for socket in (hers, his):
            await socket.subscribe("subscription { viewerEvents { type viewer { displayName } } }")
        await assign(world, await id_of(hub, bob), role="DEPLOYER", instanceId="east")
        assert await his.next() == {"type": "GRANTS_CHANGED", "viewer": {"displayName": "bob"}}
        await assign(world, await id_of(hub, ada), role="DEPLOYER", instanceId="east")
        assert await hers.next() == {"type": "GRANTS_CHANGED", "viewer": {"displayName": "ada"}}
        await his.is_quiet()


async def test_who_loses_everything_is_told_and_goes_on_listening(world: World) -> None:
    hub = world.hub
    token = await hub.token("ada", Role.VIEWER, Scope("east"))
    viewer = (await hub.data(token, "{ viewer { id grants { id } } }"))["viewer"]
    async with hub.socket(token) as socket:
        await socket.subscribe(EVENTS)
        await socket.is_quiet()
        revoke = "mutation ($id: ID!) { revokeRole(input: {grantId: $id}) { revokedGrantId } }"
        await hub.data(world.admin, revoke, {"id": viewer["grants"][0]["id"]})
        assert await told(socket) == ("GRANTS_CHANGED", [])
        await assign(world, viewer["id"], role="DEPLOYER")
        assert await told(socket) == ("GRANTS_CHANGED", [("DEPLOYER", "MANUAL")])


async def test_an_end_is_told_five_minutes_before_and_once(world: World) -> None:
    hub = world.hub
    token = await sign_in(hub, "ada", Role.VIEWER)
    async with hub.socket(token) as socket:
        await socket.subscribe(EVENTS)
        await socket.is_quiet()

        async def ends(in_: timedelta) -> None:
            with hub.running.database.entered():
                session = await Session.get(user_id=await id_of(hub, token))
                await Session.filter(id=session.id).update(expires_at=datetime.now(UTC) + in_)
                await publish("session", session.id)

        await ends(timedelta(minutes=4))
        assert (await socket.next())["type"] == "SESSION_EXPIRING"
        await ends(timedelta(days=7))  # it was renewed: the next end is told anew
        await ends(timedelta(minutes=5, seconds=1))
        assert (await socket.next())["type"] == "SESSION_EXPIRING"
        await assign(world, await id_of(hub, token), role="DEPLOYER")
        assert (await told(socket))[0] == "GRANTS_CHANGED"
        await socket.is_quiet()


async def test_a_tokens_end_is_told_too(world: World) -> None:
    hub = world.hub
    with hub.running.database.entered():
        user_id = await ensure_user(Person(Provider.DEMO, "ada"))
        now = datetime.now(UTC)
        ends = now + timedelta(minutes=5, seconds=1)
        _, minted = await create_token(user_id, name="CI", limits=TokenLimits(), expires_at=ends, now=now)
    async with hub.socket(minted.secret) as socket:
        await socket.subscribe(EVENTS)
        event = await socket.next()
        assert event["type"] == "SESSION_EXPIRING"
        assert event["viewer"]["accessTokens"] == [{"name": "CI"}]
