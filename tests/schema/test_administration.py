"""People and their roles over GraphQL, as an admin uses them."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from auth.accounts import ensure_user, grant_role
from auth.identity import Provider
from auth.people import Person
from auth.permissions import Role, Scope
from models.tables import GroupMapping, RoleAssignment, User
from tests.support.administration import ASSIGN, CREATE_MAPPING, MAPPING, REVOKE
from tests.support.asking import bad_fields, code_of, refused
from tests.support.people import a_member, id_of, put_into_groups, sign_in
from tests.support.surface import World
from tests.support.waiting import until

# ---------------------------------------------------------------- people


async def test_people_are_listed_by_name_and_found_by_what_they_have(world: World) -> None:
    hub = world.hub
    with hub.running.database.entered():
        await a_member("tid/1", "ml", display_name="Ada")
        ada2 = await a_member("tid/2", display_name="Ada")
        await User.filter(id=ada2).update(email="ada_2%@example.com", active=False)
        await GroupMapping.create(
            id="map_1", provider="entra", group_id="ml", group_name="ML", role=2, instance_id="east"
        )
        # Neither of these gives anything: other people's group of that name, and an old list of groups.
        bob = await ensure_user(Person(Provider.GITHUB, "1001"), display_name="Bob")
        await put_into_groups(bob, ["ml"])
        await a_member("tid/3", "ml", ago=timedelta(days=2), display_name="Eve")
    await hub.token("viewer", Role.VIEWER, Scope("west"))

    async def names(filter_: str = "") -> list[str]:
        query = f"{{ users{filter_} {{ totalCount nodes {{ displayName }} }} }}"
        found = (await hub.data(world.admin, query))["users"]
        assert found["totalCount"] == len(found["nodes"])
        return [node["displayName"] for node in found["nodes"]]

    assert await names() == ["Ada", "Ada", "Bob", "Eve", "admin", "viewer"]
    assert await names("(filter: {roles: [ADMIN]})") == ["admin"]
    assert await names("(filter: {roles: [DEPLOYER]})") == ["Ada"]
    assert await names("(filter: {roles: [DEPLOYER, VIEWER]})") == ["Ada", "viewer"]
    assert await names("(filter: {roles: []})") == []
    assert await names('(filter: {instanceId: "east"})') == ["Ada", "admin"]
    assert await names('(filter: {instanceId: "west", roles: [VIEWER, DEPLOYER]})') == ["viewer"]
    assert await names("(filter: {active: false})") == ["Ada"]
    assert await names('(filter: {search: "ADA", active: true})') == ["Ada"]
    assert await names('(filter: {search: "_2%"})') == ["Ada"]
    assert await names('(filter: {search: "%"})') == ["Ada"]
    assert await names('(filter: {search: "1001"})') == ["Bob"]


async def test_everybody_is_met_once_while_paging(world: World) -> None:
    with world.hub.running.database.entered():
        for number in range(7):
            await a_member(f"tid/{number}", display_name=f"Same name {number // 3}")
    query = """query ($after: String) { users(first: 3, after: $after) {
      totalCount nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage endCursor } } }"""
    after, met = None, []
    while True:
        page = (await world.hub.data(world.admin, query, {"after": after}))["users"]
        assert page["totalCount"] == 8
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        met += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
        assert after == page["edges"][-1]["cursor"]
    assert len(met) == len(set(met)) == 8
    assert await bad_fields(
        world.hub, world.admin, "query ($n: Int) { users(first: $n) { totalCount } }", {"n": 101}
    ) == ["first"]
    assert await bad_fields(world.hub, world.admin, query, {"after": "nonsense"}) == ["after"]


async def test_a_person_is_found_with_groups_and_whence_each_grant_comes(world: World) -> None:
    with world.hub.running.database.entered():
        ada = await a_member("tid/1", "ml", "other", ago=timedelta(hours=1), display_name="Ada")
        await User.filter(id=ada).update(groups_error="Microsoft Graph answered 503")
    made = (await world.hub.data(world.admin, CREATE_MAPPING, {"input": MAPPING}))["createGroupMapping"]
    query = """query ($id: ID!) { user(id: $id) {
      id provider displayName active isAdmin groups { provider groupId name } groupsError grants {
        id role instanceId namespaces source createdAt group { groupId name } groupMapping { id } } } }"""
    found = (await world.hub.data(world.admin, query, {"id": ada}))["user"]
    grant_id = found["grants"][0].pop("id")
    assert grant_id.startswith("grt_")
    assert found == {
        "id": ada,
        "provider": "ENTRA",
        "displayName": "Ada",
        "active": True,
        "isAdmin": False,
        "groups": [
            {"provider": "ENTRA", "groupId": "ml", "name": "Ml"},
            {"provider": "ENTRA", "groupId": "other", "name": "Other"},
        ],
        "groupsError": "Microsoft Graph answered 503",
        "grants": [
            {
                "role": "DEPLOYER",
                "instanceId": "east",
                "namespaces": ["ml-team"],
                "source": "GROUP",
                "group": {"groupId": "ml", "name": "Ml"},
                "groupMapping": {"id": made["groupMapping"]["id"]},
                "createdAt": None,
            }
        ],
    }
    again = (await world.hub.data(world.admin, query, {"id": ada}))["user"]
    assert again["grants"][0]["id"] == grant_id
    error = await refused(world.hub, world.admin, REVOKE, {"id": grant_id})
    assert (error["code"], error["fields"][0]["path"]) == ("BAD_USER_INPUT", "grantId")
    assert "change the group mapping" in error["message"]
    assert await world.hub.data(world.admin, query, {"id": "usr_nobody"}) == {"user": None}


# ---------------------------------------------------------------- roles


async def test_a_role_is_given_and_taken_and_acts_at_once(world: World) -> None:
    hub = world.hub
    ada = await hub.token("ada")
    ada_id = await id_of(hub, ada)
    assert (await hub.data(ada, "{ instances { nodes { id } } }"))["instances"]["nodes"] == []
    given = {"userId": ada_id, "role": "DEPLOYER", "instanceId": "east", "namespaces": ["b", "a", "b"]}
    assigned = (await hub.data(world.admin, ASSIGN, {"input": given}))["assignRole"]
    grant_id = assigned["grant"].pop("id")
    assert assigned == {
        "grant": {
            "role": "DEPLOYER",
            "instanceId": "east",
            "namespaces": ["a", "b"],
            "source": "MANUAL",
            "createdBy": {"displayName": "admin"},
        },
        "user": {"id": ada_id, "isAdmin": False, "grants": [{"id": grant_id}]},
    }
    again = (await hub.data(world.admin, ASSIGN, {"input": given}))["assignRole"]
    assert again["grant"]["id"] == grant_id

    async def sees(*expected: str) -> bool:
        found = await hub.data(ada, "{ instances { nodes { id } } }")
        return [node["id"] for node in found["instances"]["nodes"]] == list(expected)

    await until(lambda: sees("east"))
    revoked = (await hub.data(world.admin, REVOKE, {"id": grant_id}))["revokeRole"]
    assert revoked == {"revokedGrantId": grant_id, "user": {"id": ada_id, "grants": []}}
    await until(sees)
    assert (await refused(hub, world.admin, REVOKE, {"id": grant_id}))["code"] == "NOT_FOUND"


async def test_a_role_that_could_mean_something_else_is_refused(world: World) -> None:
    ada_id = await id_of(world.hub, await world.hub.token("ada"))

    async def paths(**changed: Any) -> list[str]:
        given = {"userId": ada_id, "role": "VIEWER", **changed}
        return await bad_fields(world.hub, world.admin, ASSIGN, {"input": given})

    assert await paths(role="ADMIN", instanceId="east") == ["instanceId"]
    assert await paths(role="ADMIN", namespaces=["a"]) == ["namespaces"]
    assert await paths(namespaces=[]) == ["namespaces"]
    assert await paths(instanceId="nowhere") == ["instanceId"]
    assert await paths(instanceId="..", namespaces=["a", "b/c", "D"]) == [
        "instanceId",
        "namespaces.1",
        "namespaces.2",
    ]
    nobody = {"userId": "usr_nobody", "role": "VIEWER"}
    assert (await refused(world.hub, world.admin, ASSIGN, {"input": nobody}))["code"] == "NOT_FOUND"
    with world.hub.running.database.entered():
        assert await RoleAssignment.filter(user_id=ada_id).count() == 0


async def test_the_last_admin_cannot_be_taken_away(world: World) -> None:
    hub = world.hub
    viewer = (await hub.data(world.admin, "{ viewer { id grants { id } } }"))["viewer"]
    taken = {"id": viewer["grants"][0]["id"]}
    for error in (
        await refused(hub, world.admin, REVOKE, taken),
        await refused(hub, world.admin, SET_ACTIVE, {"id": viewer["id"], "active": False}),
    ):
        assert error["code"] == "CONFLICT"
        assert error["message"] == (
            "Nobody would be left who is an admin and can sign in: make somebody else one first, or name "
            "somebody in HUB_ADMINS"
        )
    assert (await hub.data(world.admin, "{ viewer { isAdmin } }"))["viewer"]["isAdmin"]
    other = await hub.token("other", Role.ADMIN)
    await hub.data(world.admin, REVOKE, taken)

    async def is_no_admin() -> bool:
        return await code_of(hub, world.admin, "{ users { totalCount } }") == "FORBIDDEN"

    await until(is_no_admin)
    assert (await hub.data(other, "{ viewer { isAdmin } }"))["viewer"]["isAdmin"]


SET_ACTIVE = """mutation ($id: ID!, $active: Boolean) {
  updateUser(input: {userId: $id, active: $active}) { user { id active } } }"""


async def test_who_is_kept_out_is_out_with_all_they_hold_until_they_are_let_in(world: World) -> None:
    hub = world.hub
    session, token = await sign_in(hub, "ada", Role.VIEWER), await hub.token("ada")
    ada_id = await id_of(hub, token)
    kept_out = await hub.data(world.admin, SET_ACTIVE, {"id": ada_id, "active": False})
    assert kept_out == {"updateUser": {"user": {"id": ada_id, "active": False}}}

    async def reasons() -> set[str]:
        answers = [await hub.ask(credential, "{ viewer { id } }") for credential in (session, token)]
        return {
            answer["errors"][0]["extensions"]["reason"] if "errors" in answer else "none"
            for answer in answers
        }

    async def is_out() -> bool:
        return await reasons() == {"ACCOUNT_DEACTIVATED"}

    async def is_in() -> bool:
        return await reasons() == {"none"}

    await until(is_out)
    assert await bad_fields(hub, world.admin, SET_ACTIVE, {"id": ada_id, "active": None}) == ["active"]
    unchanged = "mutation ($id: ID!) { updateUser(input: {userId: $id}) { user { active } } }"
    assert (await hub.data(world.admin, unchanged, {"id": ada_id}))["updateUser"]["user"]["active"] is False
    assert await code_of(hub, world.admin, SET_ACTIVE, {"id": "usr_nobody", "active": True}) == "NOT_FOUND"
    await hub.data(world.admin, SET_ACTIVE, {"id": ada_id, "active": True})
    await until(is_in)


ACCESS = """query ($id: ID!, $instance: ID!, $namespace: String) {
  access(userId: $id, instanceId: $instance, namespace: $namespace) {
    decisions { permission allowed reason grants { role source } } } }"""


async def test_it_is_told_why_somebody_may_do_something(world: World) -> None:
    hub = world.hub
    ada = await sign_in(hub, "ada", Role.DEPLOYER, Scope("east", ("ml-team",)))
    ada_id = await id_of(hub, ada)

    async def decisions(asker: str, instance: str, namespace: str | None = None) -> Any:
        variables = {"id": ada_id, "instance": instance, "namespace": namespace}
        access = (await hub.data(asker, ACCESS, variables))["access"]
        return access and {each.pop("permission"): each for each in access["decisions"]}

    allowed = {
        "allowed": True,
        "reason": "By DEPLOYER in ml-team on east, given by hand.",
        "grants": [{"role": "DEPLOYER", "source": "MANUAL"}],
    }
    for asker in (ada, world.admin):
        found = await decisions(asker, "east", "ml-team")
        assert found["MANAGE_DEPLOYMENTS"] == allowed
        assert found["MANAGE_USERS"] == {
            "allowed": False,
            "reason": "It takes ADMIN, which no grant gives.",
            "grants": [],
        }
        assert (await decisions(asker, "east"))["MANAGE_DEPLOYMENTS"] == allowed
        elsewhere = await decisions(asker, "west", "ml-team")
        assert elsewhere["VIEW_DEPLOYMENTS"]["reason"] == "No grant gives anything in ml-team on west."
    # To her, an instance that she doesn't see and one that isn't there look the same.
    assert await decisions(world.admin, "nowhere") is None
    unseen = await decisions(ada, "west")
    assert {key: each["allowed"] for key, each in unseen.items()} == {
        key: each["allowed"] for key, each in (await decisions(ada, "nowhere")).items()
    }
    given = {"id": ada_id, "instance": "..", "namespace": "A"}
    assert await bad_fields(hub, ada, ACCESS, given) == ["instanceId", "namespace"]


async def test_a_page_of_people_takes_few_queries(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """With all that is shown of them, and however many they are."""
    made = await world.hub.data(world.admin, CREATE_MAPPING, {"input": MAPPING})
    assert made["createGroupMapping"]["affectedUserCount"] == 0
    giver = await id_of(world.hub, world.admin)
    with world.hub.running.database.entered():
        for number in range(10):
            user_id = await a_member(f"tid/{number}", "ml", "other")
            await grant_role(user_id, Role.VIEWER, Scope("east"), granted_by=giver)
    query = """query ($first: Int) { users(first: $first) { totalCount nodes {
      groups { groupId } accessTokens { id }
      grants { createdBy { displayName } groupMapping { createdBy { displayName } } } } } }"""

    async def queries(first: int) -> list[str]:
        await world.hub.data(world.admin, "{ viewer { id } }")  # who asks is known for a second
        caplog.clear()
        with caplog.at_level(logging.DEBUG, logger="tortoise.db_client"):
            found = (await world.hub.data(world.admin, query, {"first": first}))["users"]
        assert len(found["nodes"]) == first
        return [record.getMessage() for record in caplog.records if record.name == "tortoise.db_client"]

    assert len(await queries(10)) == len(await queries(5)) <= 14
