"""Registering real API servers with uploaded kubeconfigs, and one that takes another's name."""

from uuid import uuid4

import pytest

from tests.support.apiserver import ApiServer
from tests.support.hub_process import ServedHub
from tests.support.instances import until_instance
from tests.support.kubectl import deployments, model_deployment
from tests.support.registering import REGISTER, REMOVE, UPDATE

pytestmark = pytest.mark.envtest


async def test_another_cluster_takes_a_name_only_once_it_is_confirmed(
    hub_process: ServedHub, api_server: ApiServer, fresh_api_server: ApiServer
) -> None:
    hub, name, foreign = hub_process, f"sent-{uuid4().hex[:8]}", f"foreign-{uuid4().hex[:8]}"
    await fresh_api_server.kubectl.install_crds()
    namespace = await fresh_api_server.kubectl.create_namespace()
    await fresh_api_server.kubectl.post(deployments(namespace), model_deployment(foreign))
    sent = {"name": name, "kubeconfig": api_server.kubeconfig()}
    await hub.data(hub.admin, REGISTER, {"input": sent})
    await until_instance(hub, hub.admin, name, status="CONNECTED")

    other = {"id": name, "kubeconfig": fresh_api_server.kubeconfig()}
    await hub.data(hub.admin, UPDATE, {"input": other})
    told = await until_instance(hub, hub.admin, name, status="ERROR")
    assert "updateInstance" in told["statusReason"]
    query = f'{{ deployments(filter: {{instanceIds: ["{name}"], search: "{foreign}"}}) {{ totalCount }} }}'
    assert (await hub.data(hub.admin, query))["deployments"]["totalCount"] == 0
    assert namespace not in (told["namespaces"] or ())

    await hub.data(hub.admin, UPDATE, {"input": {"id": name}})
    await until_instance(hub, hub.admin, name, status="CONNECTED")
    assert (await hub.data(hub.admin, query))["deployments"]["totalCount"] == 1
    await hub.data(hub.admin, REMOVE, {"id": name})
    assert (await hub.data(hub.admin, '{ instance(id: "%s") { id } }' % name))["instance"] is None  # noqa: UP031
