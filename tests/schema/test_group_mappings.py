"""Group mappings over GraphQL: what they give and to whom, what is only tried, what is refused."""

from datetime import timedelta
from typing import Any

import pytest

from auth.accounts import ensure_user, grant_role
from auth.identity import Provider
from auth.people import Person
from auth.permissions import Role, Scope
from models.bus import Change
from models.tables import GroupMapping, RoleAssignment, User
from tests.support.administration import CREATE_MAPPING, DELETE_MAPPING, MAPPING, UPDATE_MAPPING
from tests.support.asking import bad_fields, code_of, refused
from tests.support.people import a_member, id_of, put_into_groups, sign_in
from tests.support.surface import World
from tests.support.waiting import until

LIST = """query ($filter: GroupMappingFilter, $first: Int, $after: String) {
  groupMappings(filter: $filter, first: $first, after: $after) {
    totalCount nodes { id groupName } pageInfo { hasNextPage endCursor } } }"""


async def create(world: World, **changed: Any) -> dict[str, Any]:
    answer = await world.hub.data(world.admin, CREATE_MAPPING, {"input": {**MAPPING, **changed}})
    made: dict[str, Any] = answer["createGroupMapping"]
    return made


async def mapping_id(world: World, **changed: Any) -> str:
    made: str = (await create(world, **changed))["groupMapping"]["id"]
    return made


async def stored(world: World) -> list[dict[str, Any]]:
    """All mappings as they lie in the database."""
    with world.hub.running.database.entered():
        return await GroupMapping.all().order_by("id").values()


async def names_of_affected(world: World, document: str, **given: Any) -> list[str]:
    ((_, payload),) = (await world.hub.data(world.admin, document, {"input": given})).items()
    names = [node["displayName"] for node in payload["affectedUsers"]["nodes"]]
    assert payload["affectedUserCount"] == len(names)
    return names


async def test_a_mapping_acts_from_its_making_to_its_end(world: World) -> None:
    hub = world.hub
    token = await sign_in(hub, "tid/1", provider=Provider.ENTRA)
    with hub.running.database.entered():
        await put_into_groups(await id_of(hub, token), ["ml"])

    async def may_deploy(*places: str) -> bool:
        query = "{ instances { nodes { id namespaces(permission: MANAGE_DEPLOYMENTS) } } }"
        found = (await hub.data(token, query))["instances"]["nodes"]
        return {f"{node['id']}/{name}" for node in found for name in node["namespaces"]} == set(places)

    made = await create(world)
    made_id = made["groupMapping"].pop("id")
    assert made == {
        "groupMapping": {"provider": "ENTRA", **MAPPING, "createdBy": {"displayName": "admin"}},
        "affectedUserCount": 1,
        "affectedUsers": {"totalCount": 1, "nodes": [{"displayName": "tid/1"}]},
    }
    await until(lambda: may_deploy("east/ml-team"))
    changed = {"id": made_id, "instanceId": "west", "groupName": "ML"}
    updated = (await hub.data(world.admin, UPDATE_MAPPING, {"input": changed}))["updateGroupMapping"]
    assert updated["groupMapping"] == {
        "id": made_id,
        "groupName": "ML",
        "role": "DEPLOYER",
        "instanceId": "west",
        "namespaces": ["ml-team"],
    }
    assert updated["affectedUserCount"] == 1
    await until(lambda: may_deploy("west/ml-team"))
    gone = (await hub.data(world.admin, DELETE_MAPPING, {"input": {"id": made_id}}))["deleteGroupMapping"]
    assert gone == {
        "deletedGroupMappingId": made_id,
        "affectedUserCount": 1,
        "affectedUsers": {"nodes": [{"displayName": "tid/1"}]},
    }
    await until(may_deploy)
    assert await code_of(hub, world.admin, DELETE_MAPPING, {"input": {"id": made_id}}) == "NOT_FOUND"
    assert await code_of(hub, world.admin, UPDATE_MAPPING, {"input": {"id": made_id}}) == "NOT_FOUND"


async def test_affected_is_who_gains_or_loses_and_nobody_else(world: World) -> None:
    with world.hub.running.database.entered():
        for name in ("gains", "has it by hand", "has more by hand", "is an admin", "has half of it"):
            await a_member(name, "ml")
        await a_member("is in another group", "other")
        await a_member("was read too long ago", "ml", ago=timedelta(days=2))
        away = await a_member("is deactivated", "ml")
        await User.filter(id=away).update(active=False)
        elsewhere = await ensure_user(Person(Provider.GITHUB, "7"), display_name="is another provider's")
        await put_into_groups(elsewhere, ["ml"])
        for name, role, scope in (
            ("has it by hand", Role.DEPLOYER, Scope("east", ("ml-team",))),
            ("has more by hand", Role.DEPLOYER, Scope(None, ("ml-team", "other"))),
            ("is an admin", Role.ADMIN, Scope()),
            ("has half of it", Role.VIEWER, Scope("east", ("ml-team",))),
        ):
            user_id = await ensure_user(Person(Provider.ENTRA, name))
            await grant_role(user_id, role, scope, granted_by=None)
    tried = await names_of_affected(world, CREATE_MAPPING, **MAPPING, dryRun=True)
    assert tried == ["gains", "has half of it"]
    made_id = await mapping_id(world)

    async def tries(**changed: Any) -> list[str]:
        return await names_of_affected(world, UPDATE_MAPPING, id=made_id, dryRun=True, **changed)

    assert await tries(groupName="Another name") == []
    assert await tries(role="VIEWER") == ["gains", "has half of it"]
    assert await tries(namespaces=["ml-team", "other"]) == ["gains", "has half of it", "has it by hand"]
    assert await names_of_affected(world, DELETE_MAPPING, id=made_id) == ["gains", "has half of it"]


async def test_those_affected_come_in_pages(world: World) -> None:
    with world.hub.running.database.entered():
        for number in range(5):
            await a_member(f"tid/{number}", "ml", display_name="The same name")
    document = """mutation ($input: CreateGroupMappingInput!, $after: String) {
      createGroupMapping(input: $input) { affectedUserCount affectedUsers(first: 2, after: $after) {
        totalCount nodes { id } pageInfo { hasNextPage endCursor } } } }"""
    met: list[str] = []
    page: dict[str, Any] = {"endCursor": None, "hasNextPage": True}
    while page["hasNextPage"]:
        given = {"input": {**MAPPING, "dryRun": True}, "after": page["endCursor"]}
        payload = (await world.hub.data(world.admin, document, given))["createGroupMapping"]
        people = payload["affectedUsers"]
        assert (payload["affectedUserCount"], people["totalCount"]) == (5, 5)
        met += [node["id"] for node in people["nodes"]]
        page = people["pageInfo"]
    assert len(met) == len(set(met)) == 5


async def test_what_is_only_tried_changes_nothing(world: World) -> None:
    hub = world.hub
    token = await sign_in(hub, "tid/1", provider=Provider.ENTRA)
    with hub.running.database.entered():
        await put_into_groups(await id_of(hub, token), ["ml"])
        heard: list[Change] = []
        unsubscribe = hub.running.database.bus.subscribe(heard.append)
    made_id = await mapping_id(world)
    before = await stored(world)
    heard.clear()
    tried = await create(world, role="VIEWER", dryRun=True)
    assert (tried["affectedUserCount"], tried["groupMapping"]["role"]) == (0, "VIEWER")
    narrowed = await hub.data(
        world.admin, UPDATE_MAPPING, {"input": {"id": made_id, "role": "VIEWER", "dryRun": True}}
    )
    assert narrowed["updateGroupMapping"]["groupMapping"]["role"] == "VIEWER"
    await hub.data(world.admin, DELETE_MAPPING, {"input": {"id": made_id, "dryRun": True}})
    assert await stored(world) == before
    assert {change.kind for change in heard} <= {"audit"}  # nobody is told of what didn't happen
    viewer = await hub.data(token, "{ viewer { grants { role } } }")
    assert viewer["viewer"]["grants"] == [{"role": "DEPLOYER"}]
    unsubscribe()


@pytest.mark.parametrize("dry_run", [False, True])
async def test_what_could_mean_something_else_is_refused(world: World, *, dry_run: bool) -> None:
    hub, made_id = world.hub, await mapping_id(world)
    before = await stored(world)

    async def creating(**changed: Any) -> list[str]:
        given = {**MAPPING, "groupId": "other", "dryRun": dry_run, **changed}
        return await bad_fields(hub, world.admin, CREATE_MAPPING, {"input": given})

    async def updating(**changed: Any) -> list[str]:
        given = {"id": made_id, "dryRun": dry_run, **changed}
        return await bad_fields(hub, world.admin, UPDATE_MAPPING, {"input": given})

    assert await creating(role="ADMIN") == ["instanceId"]
    assert await creating(role="ADMIN", instanceId=None) == ["namespaces"]
    assert await creating(namespaces=[]) == ["namespaces"]
    assert await creating(instanceId="nowhere") == ["instanceId"]
    assert await creating(instanceId="a/..", namespaces=["ok", "Not ok"]) == ["instanceId", "namespaces.1"]
    assert await creating(groupId=" ") == ["groupId"]
    assert await creating(groupName="") == ["groupName"]
    assert await creating(groupId="g" * 257) == ["groupId"]
    # Many clients send null for what they leave out, and each of these would widen it to every place.
    assert await updating(instanceId=None) == ["instanceId"]
    assert await updating(namespaces=None) == ["namespaces"]
    assert await updating(role=None, groupName=None) == ["groupName", "role"]
    assert await updating(namespaces=[]) == ["namespaces"]
    assert await updating(role="ADMIN") == ["instanceId"]
    assert await updating(instanceId="nowhere") == ["instanceId"]
    assert await updating(instanceId="..") == ["instanceId"]
    twice = {**MAPPING, "groupName": "Another name", "dryRun": dry_run}
    error = await refused(hub, world.admin, CREATE_MAPPING, {"input": twice})
    assert error == {
        "code": "CONFLICT",
        "message": f"{made_id} gives the group this role at these places already",
    }
    assert await stored(world) == before


async def test_an_id_of_entra_is_one_however_it_is_written(world: World) -> None:
    guid = "1B2D9F3C-6D0A-4B5E-9C3E-0A1B2C3D4E5F"
    made = await create(world, groupId=guid)
    assert made["groupMapping"]["groupId"] == guid.lower()
    listed = await world.hub.data(world.admin, LIST, {"filter": {"groupId": guid}})
    assert listed["groupMappings"]["totalCount"] == 1
    kept = await create(world, groupId=guid, provider="OIDC")  # a claim's word is compared as it is
    assert kept["groupMapping"]["groupId"] == guid


async def test_mappings_are_listed_by_their_groups_names(world: World) -> None:
    for number in range(5):
        await mapping_id(world, groupId=f"g{number}", groupName=f"Group {number // 2}")
    await mapping_id(world, groupId="g0", provider="OIDC", instanceId="west", groupName="Last")
    met: list[str] = []
    page: dict[str, Any] = {"endCursor": None, "hasNextPage": True}
    while page["hasNextPage"]:
        variables = {"first": 2, "after": page["endCursor"]}
        found = (await world.hub.data(world.admin, LIST, variables))["groupMappings"]
        assert found["totalCount"] == 6
        met += [node["groupName"] for node in found["nodes"]]
        page = found["pageInfo"]
    assert met == ["Group 0", "Group 0", "Group 1", "Group 1", "Group 2", "Last"]

    async def count(**wanted: str) -> int:
        found = await world.hub.data(world.admin, LIST, {"filter": wanted})
        total: int = found["groupMappings"]["totalCount"]
        return total

    assert await count(groupId="g0") == 2
    assert await count(groupId="g0", provider="OIDC") == 1
    assert await count(instanceId="west") == 1
    assert await count(instanceId="west", provider="ENTRA") == 0


async def test_the_last_admin_by_a_group_stays(world: World) -> None:
    """A mapping may make admins, and while nobody else is one it can't be taken away."""
    hub = world.hub
    token = await sign_in(hub, "tid/1", provider=Provider.ENTRA)
    with hub.running.database.entered():
        await put_into_groups(await id_of(hub, token), ["ml"])
    given = {"groupId": "ml", "groupName": "ML", "role": "ADMIN"}
    made = (await hub.data(world.admin, CREATE_MAPPING, {"input": given}))["createGroupMapping"]
    made_id = made["groupMapping"]["id"]

    async def is_admin() -> bool:
        return bool((await hub.data(token, "{ viewer { isAdmin } }"))["viewer"]["isAdmin"])

    await until(is_admin)
    with hub.running.database.entered():  # as a failed disk would: nobody was asked
        await RoleAssignment.filter(role=3).delete()
    for document, change in (
        (DELETE_MAPPING, {}),
        (DELETE_MAPPING, {"dryRun": True}),
        (UPDATE_MAPPING, {"role": "DEPLOYER"}),
    ):
        error = await refused(hub, token, document, {"input": {"id": made_id, **change}})
        assert error["code"] == "CONFLICT"
        assert "make somebody else one first" in error["message"]
    assert await is_admin()
    renamed = await hub.data(token, UPDATE_MAPPING, {"input": {"id": made_id, "groupName": "Admins"}})
    assert renamed["updateGroupMapping"]["groupMapping"]["groupName"] == "Admins"
