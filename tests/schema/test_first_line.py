"""The thinnest line through all floors: a file becomes an instance, a change reaches a subscriber."""

from pathlib import Path

from auth.permissions import Role
from hub.demo.cluster import SimulatedCluster
from tests.support.hub import running

CREATE = """
mutation ($input: CreateDeploymentInput!) {
  createDeployment(input: $input) { deployment { id phase createdByName } warnings }
}"""
EVENTS = "subscription { deploymentEvents { type instanceId deploymentId deployment { phase } } }"


async def test_a_file_becomes_an_instance_and_a_creation_reaches_a_subscriber(
    tmp_path: Path, simulated_cluster: SimulatedCluster
) -> None:
    async with running(tmp_path) as hub:
        simulated_cluster.write_kubeconfig(hub.credentials / "east.kubeconfig")
        admin = await hub.token("admin", Role.ADMIN)
        async with hub.socket(admin) as socket:
            await socket.subscribe(EVENTS)
            first = await socket.next()
            while first["type"] != "SYNCED":
                first = await socket.next()
            assert first["instanceId"] == "east"
            target = {"instanceId": "east", "namespace": "ml-team", "name": "llama", "model": {"id": "m"}}
            created = await hub.data(admin, CREATE, {"input": target})
            assert created["createDeployment"]["deployment"]["createdByName"] == "admin"
            added = await socket.next()
            assert added["type"] == "ADDED"
            assert added["deploymentId"] == "east/ml-team/llama"
