"""Which cluster answers: at connecting, and later on the same address."""

from msgspec import structs

from hub.demo.cluster import SimulatedCluster
from hub.demo.faults import Refuse, Verb
from hub.demo.resources import NAMESPACES, model_deployments
from tests.support.fleets import FAST, Snapshots, credential, has, running_fleet, seen, stands, watched
from tests.support.simulation import model_deployment

CONNECTED = stands("CONNECTED", live=True)


def uid_of(cluster: SimulatedCluster) -> str:
    uid: str = cluster.get(NAMESPACES, "", "kube-system")["metadata"]["uid"]
    return uid


async def test_it_is_told_and_not_warned_of(simulated_cluster: SimulatedCluster) -> None:
    async with watched(credential(simulated_cluster.kubeconfig())) as instance:
        await seen(instance.store, CONNECTED)
        state = instance.store.state
        assert (state.cluster_uid, state.warnings) == (uid_of(simulated_cluster), ())


async def test_a_simulated_cluster_is_the_same_one_after_a_restart() -> None:
    async with SimulatedCluster(name="east") as first, SimulatedCluster(name="east") as again:
        assert uid_of(first) == uid_of(again)
    async with SimulatedCluster(name="west") as other:
        assert uid_of(other) != uid_of(first)


async def test_another_one_is_not_even_listed(simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    found = credential(simulated_cluster.kubeconfig())
    snapshots = Snapshots(found, clusters={"simulated": "another"})
    async with running_fleet(snapshots) as fleet:
        feed = fleet.feeds["simulated"]
        await seen(feed, stands("ERROR"))
        assert has()(feed)
        assert feed.known_namespaces() is None
        assert (feed.state.cluster_uid, feed.state.kubernetes_version, feed.state.node_count) == (None,) * 3
        assert set(simulated_cluster.requests) == {"get namespaces"}
        snapshots.put(found)
        await seen(feed, CONNECTED)
        await seen(feed, has("ml-team/llama"))


async def test_another_one_on_the_same_address_is_noticed(simulated_cluster: SimulatedCluster) -> None:
    """As when a load balancer is pointed elsewhere: the watches are cut, and go on there. That alone is
    enough: the look that is due now and then is far away."""
    simulated_cluster.apply(model_deployment("llama"))
    timing = structs.replace(FAST, probe=600)
    async with watched(credential(simulated_cluster.kubeconfig()), timing=timing) as instance:
        await seen(instance.store, CONNECTED)
        known = uid_of(simulated_cluster)
        await simulated_cluster.stop()
        simulated_cluster.recreate(NAMESPACES, "", "kube-system")
        simulated_cluster.apply(model_deployment("foreign"))
        await simulated_cluster.start()
        await seen(instance.store, stands("ERROR"))
        assert known in (instance.store.state.reason or "")
        assert has()(instance.store)
        assert {change.name for change in instance.store.changes(0)} == {"llama"}, "foreign was shown"
        assert instance.store.known_namespaces() is None
        instance.instance.identity.expect(uid_of(simulated_cluster))
        await seen(instance.store, CONNECTED)
        await seen(instance.store, has("ml-team/foreign", "ml-team/llama"))


async def test_another_one_is_noticed_without_a_cut(simulated_cluster: SimulatedCluster) -> None:
    """The look that is due now and then: nothing that was read before is sure."""
    simulated_cluster.apply(model_deployment("llama"))
    async with watched(credential(simulated_cluster.kubeconfig())) as instance:
        await seen(instance.store, CONNECTED)
        simulated_cluster.recreate(NAMESPACES, "", "kube-system")
        await seen(instance.store, stands("ERROR"))
        assert has()(instance.store)
        assert instance.store.known_namespaces() is None


async def test_one_that_cannot_be_asked_is_tried_again(simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    simulated_cluster.faults.inject(Refuse(status=503, resource="namespaces", verbs=frozenset({Verb.GET})))
    async with watched(credential(simulated_cluster.kubeconfig())) as instance:
        await seen(instance.store, lambda feed: "kube-system" in (feed.state.reason or ""))
        assert instance.store.state.status == "CONNECTING"
        assert not simulated_cluster.requests.get(f"list {model_deployments().plural}")
        simulated_cluster.faults.clear()
        await seen(instance.store, CONNECTED)
