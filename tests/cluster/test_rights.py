"""What the hub's account may not do, as the credential's posture tells it."""

import pytest

from hub.demo.cluster import SimulatedCluster
from tests.support.apiserver import ApiServer
from tests.support.fleets import FAST, credential, seen, stands, watched
from tests.support.waiting import until

CONNECTED = stands("CONNECTED", live=True)
OF_THE_CLUSTER = {
    "get namespaces",
    "list namespaces",
    "watch namespaces",
    "list nodes",
    "list customresourcedefinitions.apiextensions.k8s.io",
    "watch customresourcedefinitions.apiextensions.k8s.io",
}


async def test_an_account_that_may_do_everything_misses_nothing(simulated_cluster: SimulatedCluster) -> None:
    async with watched(credential(simulated_cluster.kubeconfig())) as instance:
        await seen(instance.store, CONNECTED)

        async def all_is_asked() -> bool:
            return simulated_cluster.requests.get("review") == 4 + 2 + len(OF_THE_CLUSTER)

        await until(all_is_asked)
        await simulated_cluster.stop()  # by then, what came of it has been told
        await seen(instance.store, stands("DISCONNECTED"))
        assert instance.store.state.missing_verbs == ()


async def test_what_a_limited_account_misses(simulated_cluster: SimulatedCluster) -> None:
    token = simulated_cluster.tokens.issue(namespaces=frozenset({"ml-team"}))
    places = ["ml-team", "team-b"]
    async with watched(credential(simulated_cluster.kubeconfig(token=token, namespaces=places))) as instance:
        elsewhere = {
            *(
                f"{verb} modeldeployments.airunway.ai in team-b"
                for verb in ("create", "delete", "list", "watch")
            ),
            *(f"{verb} pods in team-b" for verb in ("list", "watch")),
        }
        await seen(instance.store, lambda feed: bool(feed.state.missing_verbs))
        assert set(instance.store.state.missing_verbs) == OF_THE_CLUSTER | elsewhere


@pytest.mark.envtest
async def test_a_real_server_is_asked_alike(api_server: ApiServer) -> None:
    namespace = await api_server.kubectl.create_namespace()
    rules = [
        {"apiGroups": ["airunway.ai"], "resources": ["modeldeployments"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    ]
    token = await api_server.kubectl.limited_token(namespace, rules=rules)
    found = credential(api_server.kubeconfig(user={"token": token}, namespaces=[namespace]))
    async with watched(found, timing=FAST) as instance:
        await seen(instance.store, lambda feed: bool(feed.state.missing_verbs), within=20)
        writes = {f"{verb} modeldeployments.airunway.ai in {namespace}" for verb in ("create", "delete")}
        assert set(instance.store.state.missing_verbs) == OF_THE_CLUSTER | writes
