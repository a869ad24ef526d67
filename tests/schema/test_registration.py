"""Instances that are registered, changed and removed over GraphQL, on simulated clusters."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auth.grants import TokenLimits
from auth.permissions import Role, Scope
from hub.demo.cluster import SimulatedCluster
from models.connection import current_client
from models.database import open_database
from models.rekeying import rekey
from models.tables import GroupMapping, Instance, RoleAssignment
from models.url import parse_database_url
from tests.support.administration import ASSIGN, CREATE_MAPPING, MAPPING
from tests.support.hub import HubUnderTest, hub_settings, running, serving
from tests.support.people import id_of
from tests.support.registering import REGISTER, REMOVE, SHOWN, UPDATE
from tests.support.simulation import model_deployment
from tests.support.surface import World, a_world, join, until_ids, until_status
from tests.support.tls import over_https
from tests.support.waiting import until


@pytest.fixture
async def north() -> AsyncIterator[SimulatedCluster]:
    async with SimulatedCluster(name="north") as cluster:
        cluster.apply(model_deployment("gemma"))
        yield cluster


@pytest.fixture
async def kubeconfig(north: SimulatedCluster, tmp_path: Path) -> AsyncIterator[str]:
    async with over_https(north, tmp_path) as text:
        yield text


@pytest.fixture
async def any_world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """On SQLite, and on PostgreSQL."""
    async with a_world(tmp_path, database=parse_database_url(database_url)) as world:
        yield world


async def code(world: World, query: str, variables: dict[str, Any]) -> Any:
    """The error's code, and the fields that it names."""
    answer = await world.hub.ask(world.admin, query, variables)
    (error,) = answer["errors"]
    extensions = error["extensions"]
    return extensions["code"], [field["path"] for field in extensions.get("fields", ())]


async def shown(world: World, instance_id: str, *, token: str | None = None) -> Any:
    return (await world.hub.data(token or world.admin, SHOWN, {"id": instance_id}))["instance"]


async def test_an_uploaded_kubeconfig_makes_an_instance(world: World, kubeconfig: str) -> None:
    sent = {"name": "north", "displayName": " The North ", "kubeconfig": kubeconfig}
    registered = (await world.hub.data(world.admin, REGISTER, {"input": sent}))["registerInstance"]
    assert registered["instance"].items() >= {
        "id": "north", "displayName": "The North", "credential": {"source": "STORED"},
    }.items()  # fmt: skip
    await until_ids(world, "north/ml-team/gemma")
    assert (await shown(world, "north"))["status"] == "CONNECTED"
    with world.hub.running.database.entered():
        row = await Instance.get(id="north")
    assert row.kubeconfig is not None
    assert row.kubeconfig.startswith("v1.")
    assert "cluster.example" not in row.kubeconfig
    assert await code(world, REGISTER, {"input": sent}) == ("CONFLICT", [])


async def test_it_is_there_again_after_a_restart(tmp_path: Path, north: SimulatedCluster) -> None:
    async with over_https(north, tmp_path) as kubeconfig:
        async with running(tmp_path) as hub:
            admin = await hub.token("admin", Role.ADMIN)
            await hub.data(admin, REGISTER, {"input": {"name": "north", "kubeconfig": kubeconfig}})
        async with running(tmp_path) as hub:

            async def connected() -> bool:
                found = (await hub.data(admin, SHOWN, {"id": "north"}))["instance"]
                return found is not None and found["status"] == "CONNECTED"

            await until(connected)


async def test_a_file_is_registered_under_a_name_for_people(world: World) -> None:
    """It was found already; registering it says that it is wanted, and what to call it."""
    answer = await world.hub.data(world.admin, REGISTER, {"input": {"name": "east", "displayName": "East"}})
    assert answer["registerInstance"]["instance"] == {
        "id": "east", "displayName": "East", "status": "CONNECTED", "credential": {"source": "FILE"},
    }  # fmt: skip
    again = await world.hub.data(world.admin, UPDATE, {"input": {"id": "east", "displayName": None}})
    assert again["updateInstance"]["instance"]["displayName"] == "east"


async def test_what_cannot_be_registered(world: World, kubeconfig: str) -> None:
    (world.hub.credentials / "broken.kubeconfig").write_text("nothing")

    async def is_known() -> bool:
        return bool(
            (await world.hub.data(world.admin, "{ credentialProblems { fileName } }"))["credentialProblems"]
        )

    await until(is_known)
    expected = {
        ("BAD_USER_INPUT", "name"): [
            {"name": "North"},
            {"name": "../north", "kubeconfig": kubeconfig},
            {"name": "north"},
            {"name": "broken"},
        ],
        ("BAD_USER_INPUT", "displayName"): [
            {"name": "north", "displayName": text, "kubeconfig": kubeconfig}
            for text in (" ", "a\nb", "x" * 257)
        ],
        ("BAD_USER_INPUT", "kubeconfig"): [
            {"name": "north", "kubeconfig": text} for text in ("", "}{", "a: 1")
        ],
        ("CONFLICT", None): [{"name": each, "kubeconfig": kubeconfig} for each in ("east", "broken")],
    }
    for (expected_code, path), inputs in expected.items():
        for chosen in inputs:
            found = await code(world, REGISTER, {"input": chosen})
            assert found == (expected_code, [path] if path else []), chosen
    for query, variables in (
        (UPDATE, {"input": {"id": "nowhere"}}),
        (REMOVE, {"id": "nowhere"}),
    ):
        assert (await code(world, query, variables))[0] == "NOT_FOUND"
    assert (await code(world, UPDATE, {"input": {"id": "east", "kubeconfig": kubeconfig}}))[0] == "CONFLICT"


async def test_a_file_under_a_stored_name_is_a_problem_until_it_is_used(
    world: World, north: SimulatedCluster, kubeconfig: str
) -> None:
    await world.hub.data(world.admin, REGISTER, {"input": {"name": "north", "kubeconfig": kubeconfig}})
    assert (await code(world, UPDATE, {"input": {"id": "north", "kubeconfig": None}})) == (
        "BAD_USER_INPUT", ["kubeconfig"],
    )  # fmt: skip
    north.write_kubeconfig(world.hub.credentials / "north.kubeconfig")

    async def problems() -> list[str]:
        answer = await world.hub.data(world.admin, "{ credentialProblems { fileName } }")
        return [each["fileName"] for each in answer["credentialProblems"]]

    async def is_told() -> bool:
        return await problems() == ["north.kubeconfig"]

    await until(is_told)
    assert (await shown(world, "north"))["credential"]["source"] == "STORED"
    await world.hub.data(world.admin, UPDATE, {"input": {"id": "north", "kubeconfig": None}})

    async def is_used() -> bool:
        found = await shown(world, "north")
        return found["credential"]["source"] == "FILE" and await problems() == []

    await until(is_used)


async def test_a_new_kubeconfig_goes_on_with_what_is_known(
    world: World, north: SimulatedCluster, kubeconfig: str, tmp_path: Path
) -> None:
    await world.hub.data(world.admin, REGISTER, {"input": {"name": "north", "kubeconfig": kubeconfig}})
    await until_ids(world, "north/ml-team/gemma")
    north.tokens.revoke(north.token)
    async with over_https(north, tmp_path, token=north.tokens.issue()) as renewed:
        await world.hub.data(world.admin, UPDATE, {"input": {"id": "north", "kubeconfig": renewed}})
        north.apply(model_deployment("new"))
        await until_ids(world, "north/ml-team/gemma", "north/ml-team/new")


async def test_a_removed_instance_stays_removed_and_comes_back_without_rights(any_world: World) -> None:
    """Its file is there all the time."""
    world = any_world
    hub, east = world.hub, Scope("east", ("ml-team",))
    world.east.apply(model_deployment("llama"))
    world.west.apply(model_deployment("phi"))
    await until_ids(world, "east/ml-team/llama", "west/ml-team/phi")
    person = await hub.token("somebody", Role.VIEWER, east)
    only_east = await hub.token("somebody", limits=TokenLimits(instance_ids=("east",)))
    everywhere = await hub.token("anybody", Role.VIEWER, limits=TokenLimits(instance_ids=("east",)))
    both = await hub.token("both", Role.VIEWER, limits=TokenLimits(instance_ids=("east", "west")))
    await hub.data(world.admin, CREATE_MAPPING, {"input": MAPPING | {"provider": "OIDC"}})
    assert (await shown(world, "east", token=person))["deploymentCount"] == 1

    async with hub.socket(world.admin) as socket, hub.socket(person) as theirs:
        await theirs.subscribe("subscription { deploymentEvents { type } }")
        assert [(await theirs.next())["type"] for _ in range(2)] == ["ADDED", "SYNCED"]
        await socket.subscribe("subscription { deploymentEvents { type deploymentId } }")
        for _ in range(4):  # one deployment on each of two instances
            assert (await socket.next())["type"] in ("ADDED", "SYNCED")
        assert await hub.data(world.admin, REMOVE, {"id": "east"}) == {
            "removeInstance": {"removedInstanceId": "east"}
        }
        assert await shown(world, "east") is None
        while (event := await socket.next()) != {"type": "DELETED", "deploymentId": "east/ml-team/llama"}:
            assert event["type"] in ("SYNCED", "STALE")
        while (message := await theirs.receive(within=1))["type"] == "next":
            assert message["payload"]["data"]["deploymentEvents"]["type"] == "DELETED"
        assert message["payload"][0]["extensions"]["reason"] == "ROLE_REVOKED"
    with hub.running.database.entered():
        assert not await RoleAssignment.exists(instance_id="east")
        assert not await GroupMapping.exists(instance_id="east")
    assert (await code(world, REMOVE, {"id": "east"}))[0] == "NOT_FOUND"
    refused = {"userId": await id_of(hub, person), "role": "VIEWER", "instanceId": "east"}
    assert await code(world, ASSIGN, {"input": refused}) == ("BAD_USER_INPUT", ["instanceId"])
    # The file changes, and nothing comes of it.
    world.east.write_kubeconfig(hub.credentials / "east.kubeconfig", token=world.east.tokens.issue())
    await until_ids(world, "west/ml-team/phi")

    answer = await hub.data(world.admin, REGISTER, {"input": {"name": "east"}})
    assert answer["registerInstance"]["instance"]["id"] == "east"
    await until_status(world, "east", "CONNECTED")
    await until_ids(world, "east/ml-team/llama", "west/ml-team/phi")
    for token in (person, only_east, everywhere):
        assert await shown(world, "east", token=token) is None
        assert await shown(world, "west", token=token) is None, "a limit that is gone is no limit"
    assert await shown(world, "east", token=both) is None
    assert (await shown(world, "west", token=both))["deploymentCount"] == 1


async def test_a_removed_instance_is_asked_nothing_after_a_restart(tmp_path: Path) -> None:
    async with SimulatedCluster(name="east") as east, SimulatedCluster(name="west") as west:
        async with running(tmp_path) as hub:
            world = World(hub, east, west, await hub.token("admin", Role.ADMIN))
            await join(world, east)
            await join(world, west)
            await hub.data(world.admin, REMOVE, {"id": "east"})
        asked = dict(east.requests)
        async with running(tmp_path) as hub:
            world = World(hub, east, west, world.admin)
            await until_status(world, "west", "CONNECTED")
            assert await shown(world, "east") is None
            assert dict(east.requests) == asked


async def test_a_file_is_registered_at_once_by_whoever_wrote_it(
    world: World, north: SimulatedCluster
) -> None:
    """Before the hub has looked at the directory again."""
    north.write_kubeconfig(world.hub.credentials / "north.kubeconfig")
    answer = await world.hub.data(world.admin, REGISTER, {"input": {"name": "north", "displayName": "North"}})
    assert answer["registerInstance"]["instance"]["displayName"] == "North"
    await until_status(world, "north", "CONNECTED")
    assert (await shown(world, "north"))["displayName"] == "North"


async def test_a_vanished_file_ends_the_live_data_and_keeps_the_grants(world: World) -> None:
    world.east.apply(model_deployment("llama"))
    await until_ids(world, "east/ml-team/llama")
    person = await world.hub.token("somebody", Role.VIEWER, Scope("east", ("ml-team",)))
    (world.hub.credentials / "east.kubeconfig").unlink()

    async def is_gone() -> bool:
        return await shown(world, "east", token=person) is None

    await until(is_gone)
    await join(world, world.east)
    assert (await shown(world, "east", token=person))["deploymentCount"] == 1


async def test_another_cluster_under_a_known_name_shows_nothing_until_it_is_confirmed(
    any_world: World,
) -> None:
    world, hub = any_world, any_world.hub
    world.east.apply(model_deployment("llama"))
    world.west.apply(model_deployment("phi"))
    await until_ids(world, "east/ml-team/llama", "west/ml-team/phi")
    person = await hub.token("somebody", Role.DEPLOYER, Scope("east", ("ml-team",)))
    (hub.credentials / "west.kubeconfig").unlink()
    world.west.write_kubeconfig(hub.credentials / "east.kubeconfig")
    await until_status(world, "east", "ERROR")
    told = await shown(world, "east")
    assert "updateInstance" in told["statusReason"]
    assert "uid" not in (await shown(world, "east", token=person))["statusReason"]
    everything = "{ deployments { nodes { name } } }"
    assert {each["name"] for each in (await hub.data(person, everything))["deployments"]["nodes"]} <= {
        "llama"
    }
    create = """mutation { createDeployment(input: {
      instanceId: "east", namespace: "ml-team", name: "new", model: {id: "m"}
    }) { deployment { id } } }"""
    (error,) = (await hub.ask(person, create))["errors"]
    assert error["extensions"]["code"] == "INSTANCE_UNAVAILABLE"
    # A new name for people confirms nothing.
    await hub.data(world.admin, UPDATE, {"input": {"id": "east", "displayName": "Far East"}})
    assert (await shown(world, "east"))["status"] == "ERROR"
    confirmed = await hub.data(world.admin, UPDATE, {"input": {"id": "east"}})
    assert confirmed["updateInstance"]["instance"]["status"] != "ERROR"
    await until_ids(world, "east/ml-team/phi")
    await until_ids(world, "east/ml-team/phi", token=person)


async def test_another_cluster_is_noticed_after_a_restart(tmp_path: Path) -> None:
    async with SimulatedCluster(name="east") as east, SimulatedCluster(name="other") as other:
        async with running(tmp_path) as hub:
            world = World(hub, east, other, await hub.token("admin", Role.ADMIN))
            await join(world, east)

            async def is_remembered() -> bool:
                with hub.running.database.entered():
                    return (await Instance.get(id="east")).cluster_uid is not None

            await until(is_remembered)
        other.apply(model_deployment("phi"))
        other.write_kubeconfig(tmp_path / "credentials" / "east.kubeconfig")
        async with running(tmp_path) as hub:
            world = World(hub, east, other, world.admin)
            await until_status(world, "east", "ERROR")
            await until_ids(world)


async def test_a_credential_that_may_not_read_kube_system_is_warned_of(world: World) -> None:
    limited = world.east.tokens.issue(namespaces=frozenset({"ml-team"}))
    world.east.write_kubeconfig(
        world.hub.credentials / "limited.kubeconfig", token=limited, namespaces=["ml-team"]
    )
    await until_status(world, "limited", "CONNECTED")
    (warning,) = (await shown(world, "limited"))["credential"]["warnings"]
    assert "kube-system" in warning


async def test_another_replica_takes_it_up_at_once(
    tmp_path: Path, postgres_url: str, kubeconfig: str
) -> None:
    """By the change bus: the timer of the other one would take five seconds."""
    database = parse_database_url(postgres_url)
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    async with (
        running(folders[0], database=database) as one,
        running(folders[1], database=database) as other,
    ):
        admin = await one.token("admin", Role.ADMIN)
        person = await one.token("somebody", Role.VIEWER)

        async def is_listening() -> bool:
            with other.running.database.entered():
                heard = "query LIKE 'LISTEN%' AND datname = current_database()"
                query = f"SELECT 1 FROM pg_stat_activity WHERE {heard}"
                return (await current_client().execute_query(query))[0] == 2

        await until(is_listening)
        await one.data(admin, REGISTER, {"input": {"name": "north", "kubeconfig": kubeconfig}})

        async def is_there() -> bool:
            found = (await other.data(person, SHOWN, {"id": "north"}))["instance"]
            return found is not None and found["deploymentCount"] == 1

        await until(is_there, within=2)
        await one.data(admin, REMOVE, {"id": "north"})

        async def is_gone() -> bool:
            return (await other.data(person, SHOWN, {"id": "north"}))["instance"] is None

        await until(is_gone, within=2)


async def test_what_is_stored_opens_after_the_key_was_changed(tmp_path: Path, kubeconfig: str) -> None:
    settings = hub_settings(tmp_path)
    async with serving(settings) as hub:
        admin = await hub.token("admin", Role.ADMIN)
        await hub.data(admin, REGISTER, {"input": {"name": "north", "kubeconfig": kubeconfig}})
    new = replace(settings.auth, encryption_key="another key of these tests, long enough")
    changed = replace(settings, auth=new)
    async with open_database(settings.database.url) as database:
        with database.entered():
            assert (await rekey(new.sealer())).anew == 1
    lost = replace(changed, auth=replace(new, session_secret="yet another secret, long enough as well"))
    for each, names in (
        (changed, ["north"]),
        (replace(lost, auth=replace(lost.auth, encryption_key=None)), []),
    ):
        async with serving(each) as hub:
            admin = await hub.token("operator", Role.ADMIN)

            async def told(hub: HubUnderTest = hub, admin: str = admin) -> Any:
                query = "{ instances { nodes { id } } credentialProblems { fileName reason } }"
                return await hub.data(admin, query)

            async def stands(names: list[str] = names, told: Any = told) -> bool:
                found = await told()
                ids = [node["id"] for node in found["instances"]["nodes"]]
                return ids == names and [x["fileName"] for x in found["credentialProblems"]] == (
                    [] if names else ["north"]
                )

            await until(stands)
            if not names:
                (problem,) = (await told())["credentialProblems"]
                assert "ENCRYPTION_KEY_PREVIOUS" in problem["reason"]
                assert "updateInstance" in problem["reason"]
