"""Many instances: they come, change and go by their credentials, and none waits for another."""

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cluster.errors import ApiError, InstanceUnavailable
from cluster.manager import InstanceManager
from credentials.directory import CredentialDirectory
from hub.demo.cluster import SimulatedCluster
from hub.demo.faults import Hang
from hub.demo.resources import model_deployments
from tests.support.fleets import FAST, Snapshots, credential, has, names, running_fleet, seen, stands
from tests.support.simulation import model_deployment
from tests.support.waiting import until

MODELS = model_deployments()


def _body(name: str, **spec: Any) -> dict[str, Any]:
    manifest = model_deployment(name, **spec)
    del manifest["apiVersion"]
    return manifest


async def test_a_hanging_cluster_delays_no_other() -> None:
    """Measured on two cores: the good ones are connected after 0.05 s, and the end takes 0.01 s."""
    before = asyncio.all_tasks()
    async with SimulatedCluster() as first, SimulatedCluster() as hanging, SimulatedCluster() as last:
        hanging.faults.inject(Hang())
        clusters = {"a-first": first, "b-hanging": hanging, "c-last": last}
        snapshots = Snapshots(*(credential(each.kubeconfig(), name=name) for name, each in clusters.items()))
        started = time.monotonic()
        async with running_fleet(snapshots) as fleet:
            assert list(fleet.feeds) == ["a-first", "b-hanging", "c-last"]
            await seen(fleet.feeds["a-first"], stands("CONNECTED", live=True))
            await seen(fleet.feeds["c-last"], stands("CONNECTED", live=True))
            assert time.monotonic() - started < FAST.answer
            await seen(fleet.feeds["b-hanging"], stands("DISCONNECTED", live=False))
            stopping = time.monotonic()
        assert time.monotonic() - stopping < FAST.answer
    assert asyncio.all_tasks() == before


async def test_a_plugin_that_hangs_delays_no_other_and_not_the_end(
    simulated_cluster: SimulatedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "login-slowly"
    program.write_text("#!/bin/sh\nsleep 100\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    config = simulated_cluster.kubeconfig()
    config["users"][0]["user"] = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "login-slowly"}
    }
    slow = credential(config, name="slow", plugins=["login-slowly"])
    good = credential(simulated_cluster.kubeconfig(), name="good")
    timing = msgspec.structs.replace(FAST, plugin=100)
    async with running_fleet(Snapshots(slow, good), timing=timing) as fleet:
        await seen(fleet.feeds["good"], stands("CONNECTED", live=True))
        assert fleet.feeds["slow"].state.status == "CONNECTING"
        stopping = time.monotonic()
    assert time.monotonic() - stopping < FAST.answer


async def test_a_replaced_credential_shows_only_differences(simulated_cluster: SimulatedCluster) -> None:
    for name in ("stays", "leaves"):
        simulated_cluster.apply(model_deployment(name))
    snapshots = Snapshots(credential(simulated_cluster.kubeconfig()))
    async with running_fleet(snapshots) as fleet:
        feed = fleet.feeds["simulated"]
        await seen(feed, stands("CONNECTED", live=True))
        epoch, head = feed.epoch, feed.head
        new = credential(simulated_cluster.kubeconfig(token=simulated_cluster.tokens.issue()))
        simulated_cluster.tokens.revoke(simulated_cluster.token)
        snapshots.put(new)
        await seen(feed, stands("CONNECTING", live=False))
        simulated_cluster.delete(MODELS, "ml-team", "leaves")
        await seen(feed, stands("CONNECTED", live=True))
        await seen(feed, has("ml-team/stays"))
        assert fleet.feeds["simulated"] is feed
        assert fleet.credential("simulated") == new
        assert feed.epoch == epoch
        assert [(each.name, each.deleted) for each in feed.changes(head)] == [("leaves", True)]


async def test_a_new_token_in_its_file_ends_a_refusal_at_once(
    simulated_cluster: SimulatedCluster, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(simulated_cluster.token)
    config = simulated_cluster.kubeconfig()
    config["users"][0]["user"] = {"tokenFile": "token"}
    snapshots = Snapshots(credential(config, directory=tmp_path))
    async with running_fleet(snapshots, timing=msgspec.structs.replace(FAST, refused=100)) as fleet:
        feed = fleet.feeds["simulated"]
        await seen(feed, stands("CONNECTED", live=True))
        simulated_cluster.tokens.revoke(simulated_cluster.token)
        await seen(feed, stands("ERROR"))
        token_file.write_text(simulated_cluster.tokens.issue())
        snapshots.put(credential(config, directory=tmp_path))
        await seen(feed, stands("CONNECTED", live=True))


async def test_another_cluster_under_the_same_name_replaces_all(simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.apply(model_deployment("here"))
    async with SimulatedCluster() as other:
        other.apply(model_deployment("there"))
        snapshots = Snapshots(credential(simulated_cluster.kubeconfig()))
        async with running_fleet(snapshots) as fleet:
            await seen(fleet.feeds["simulated"], has("ml-team/here"))
            snapshots.put(credential(other.kubeconfig()))
            await seen(fleet.feeds["simulated"], has("ml-team/there"))


async def test_a_credential_that_sees_less_shows_less(simulated_cluster: SimulatedCluster) -> None:
    for namespace in ("ml-team", "team-b"):
        simulated_cluster.apply(model_deployment("llama", namespace=namespace))
    token = simulated_cluster.tokens.issue(namespaces=frozenset({"ml-team"}))
    limited = credential(simulated_cluster.kubeconfig(token=token, namespaces=["ml-team"]))
    snapshots = Snapshots(credential(simulated_cluster.kubeconfig()))
    async with running_fleet(snapshots) as fleet:
        feed = fleet.feeds["simulated"]
        await seen(feed, has("ml-team/llama", "team-b/llama"))
        snapshots.put(limited)
        await seen(feed, has("ml-team/llama"))
        await seen(feed, stands("CONNECTED", live=True))


async def test_a_removed_credential_ends_its_watches_and_the_feed(
    simulated_cluster: SimulatedCluster,
) -> None:
    snapshots = Snapshots(credential(simulated_cluster.kubeconfig()))
    async with running_fleet(snapshots) as fleet:
        feed = fleet.feeds["simulated"]
        await seen(feed, stands("CONNECTED", live=True))
        gone = asyncio.Event()
        unsubscribe = fleet.subscribe(gone.set)
        snapshots.put()
        await asyncio.wait_for(gone.wait(), 1)
        unsubscribe()
        assert dict(fleet.feeds) == {}
        assert fleet.credential("simulated") is None
        watching = [task for task in asyncio.all_tasks() if task.get_name().startswith("simulated: ")]
        assert watching
        await asyncio.wait(watching, timeout=1)
        simulated_cluster.apply(model_deployment("unseen"))
        assert names(feed) == []
        with pytest.raises(InstanceUnavailable):
            await _create(fleet, "late")


async def test_files_that_are_no_good_are_in_the_log_once(
    simulated_cluster: SimulatedCluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "Wrong.kubeconfig").touch()
    file = simulated_cluster.write_kubeconfig(tmp_path / "east.kubeconfig")
    async with running_fleet(CredentialDirectory(tmp_path, exec_allow=()).snapshots()) as fleet:

        async def is_broken() -> bool:
            return fleet.credential_error("east") is not None

        async def is_good() -> bool:
            return not await is_broken()

        for content in ("- a list", ""):
            file.write_text(content)
            await until(is_broken)
            await asyncio.to_thread(simulated_cluster.write_kubeconfig, file)
            await until(is_good)
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert [text.partition(":")[0] for text in warnings] == [
        "Wrong.kubeconfig is no credential",
        *["instance east keeps its last good credential"] * 2,
    ]
    assert warnings[2].endswith("The file is empty.")


async def test_readers_of_the_fleet_wake_for_every_feed(simulated_cluster: SimulatedCluster) -> None:
    async with running_fleet(Snapshots(credential(simulated_cluster.kubeconfig()))) as fleet:
        await seen(fleet.feeds["simulated"], stands("CONNECTED", live=True))
        woken = asyncio.Event()
        unsubscribe = fleet.subscribe(woken.set)
        simulated_cluster.apply(model_deployment("llama"))
        await asyncio.wait_for(woken.wait(), 2)
        unsubscribe()


# ------------------------------------------------------------ writes


async def _create(fleet: InstanceManager, name: str, *, dry_run: bool = False, **spec: Any) -> Any:
    created, _ = await fleet.create_deployment(
        instance_id="simulated", namespace="ml-team", manifest=_body(name, **spec), dry_run=dry_run
    )
    return created


async def test_create_and_delete(simulated_cluster: SimulatedCluster) -> None:
    async with running_fleet(Snapshots(credential(simulated_cluster.kubeconfig()))) as fleet:
        feed = fleet.feeds["simulated"]
        await seen(feed, stands("CONNECTED", live=True))
        rehearsed = await _create(fleet, "llama", dry_run=True)
        assert (rehearsed.id, simulated_cluster.objects(MODELS)) == ("simulated/ml-team/llama", [])
        created = await _create(fleet, "llama")
        await seen(feed, has("ml-team/llama"))
        assert created.uid == simulated_cluster.get(MODELS, "ml-team", "llama")["metadata"]["uid"]
        place = {"instance_id": "simulated", "namespace": "ml-team", "name": "llama"}
        with pytest.raises(ApiError) as conflict:
            await fleet.delete_deployment(**place, uid="another", dry_run=False)
        assert conflict.value.status == 409
        await fleet.delete_deployment(**place, uid=created.uid, dry_run=True)
        assert len(simulated_cluster.objects(MODELS)) == 1
        await fleet.delete_deployment(**place, uid=created.uid, dry_run=False)
        await seen(feed, has())


async def test_a_finalizer_shows_the_deployment_terminating(simulated_cluster: SimulatedCluster) -> None:
    body = model_deployment("held")
    body["metadata"]["finalizers"] = ["airunway.ai/cleanup"]
    simulated_cluster.apply(body)
    async with running_fleet(Snapshots(credential(simulated_cluster.kubeconfig()))) as fleet:
        await seen(fleet.feeds["simulated"], stands("CONNECTED", live=True))
        left = await fleet.delete_deployment(
            instance_id="simulated", namespace="ml-team", name="held", uid=None, dry_run=False
        )
        assert left is not None
        assert left.phase == "TERMINATING"


async def test_a_misspelt_field_is_an_error_that_names_it(simulated_cluster: SimulatedCluster) -> None:
    async with running_fleet(Snapshots(credential(simulated_cluster.kubeconfig()))) as fleet:
        await seen(fleet.feeds["simulated"], stands("CONNECTED", live=True))
        with pytest.raises(ApiError, match="colour"):
            await _create(fleet, "llama", colour="blue")
        assert simulated_cluster.objects(MODELS) == []


async def test_nothing_is_written_where_nothing_is_connected(simulated_cluster: SimulatedCluster) -> None:
    async with running_fleet(Snapshots(credential(simulated_cluster.kubeconfig()))) as fleet:
        feed = fleet.feeds["simulated"]
        with pytest.raises(InstanceUnavailable, match="CONNECTING"):
            await _create(fleet, "early")
        await seen(feed, stands("CONNECTED", live=True))
        simulated_cluster.crds.remove("airunway.ai")
        await seen(feed, lambda feed: feed.state.api_group is None)
        with pytest.raises(InstanceUnavailable, match="AI Runway isn't installed"):
            await _create(fleet, "homeless")
        await simulated_cluster.stop()
        await seen(feed, stands("DISCONNECTED"))
        with pytest.raises(InstanceUnavailable, match="can't be reached") as raised:
            await _create(fleet, "late")
        assert "127.0.0.1" not in str(raised.value)
