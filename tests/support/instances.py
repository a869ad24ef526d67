"""Bringing an instance to a running hub, and acting on it through GraphQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from tests.support.hub import HubClient
from tests.support.hub_process import ServedHub
from tests.support.kubectl import Json
from tests.support.waiting import until

CREATE = """
mutation ($input: CreateDeploymentInput!) {
  createDeployment(input: $input) { deployment { id uid phase createdByName } warnings }
}"""
DELETE = """
mutation ($input: DeleteDeploymentInput!) {
  deleteDeployment(input: $input) { deletedDeploymentId deployment { phase } }
}"""
_INSTANCE = """
query ($id: ID!) {
  instance(id: $id) {
    status statusReason apiGroup kubernetesVersion nodeCount namespaces deploymentCount
    credential { error }
  }
}"""


@asynccontextmanager
async def an_instance(hub: ServedHub, kubeconfig: str, *, status: str = "CONNECTED") -> AsyncIterator[str]:
    """The name of an instance that has come to this status, by a kubeconfig that is there meanwhile."""
    name = f"cluster-{uuid4().hex[:8]}"
    file = hub.credentials / f"{name}.kubeconfig"
    file.write_text(kubeconfig)
    try:
        await until_instance(hub, hub.admin, name, status=status)
        yield name
    finally:
        file.unlink()


async def until_instance(
    hub: HubClient, token: str | None, instance_id: str, *, within: float = 30.0, **fields: Any
) -> Json:
    """Waits until the instance's fields are these; then all that is asked of it."""
    found: Json = {}

    async def stands() -> bool:
        found.clear()
        found.update((await hub.data(token, _INSTANCE, {"id": instance_id}))["instance"] or {})
        return all(found.get(key, ...) == value for key, value in fields.items())

    try:
        await until(stands, within=within)
    except TimeoutError as error:
        raise AssertionError(f"{instance_id} isn't {fields}: {found}") from error
    return found
