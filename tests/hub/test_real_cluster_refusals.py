"""What a real API server and its webhooks refuse, and the words that reach the person who asked."""

import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.support.apiserver import ApiServer
from tests.support.certificates import Pair, self_signed
from tests.support.hub_process import ServedHub
from tests.support.instances import CREATE, DELETE, an_instance
from tests.support.kubectl import CRDS, Json, Kubectl, Refused, deployments, model_deployment
from tests.support.waiting import until

pytestmark = pytest.mark.envtest

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
IMMUTABLE = "model.id is immutable; delete the deployment and create it anew"


async def test_the_clusters_words_reach_the_person(
    hub_process: ServedHub, fresh_api_server: ApiServer, tmp_path: Path
) -> None:
    hub, kubectl = hub_process, fresh_api_server.kubectl
    await kubectl.install_crds()
    await kubectl.post(deployments("default"), model_deployment("taken"))
    await _change_crd(kubectl, _be_strict)
    await until(partial(_refuses, kubectl, model_deployment("probe", engine={"type": "sglang"})))
    async with (
        _webhook(tmp_path, kubectl),
        an_instance(hub, fresh_api_server.kubeconfig()) as instance_id,
    ):

        async def refusal(name: str = "new", namespace: str = "default", **asked: Any) -> Json:
            target = {"instanceId": instance_id, "namespace": namespace, "name": name}
            answer = await hub.ask(hub.deployer, CREATE, {"input": target | {"model": {"id": "m"}} | asked})
            [error] = answer["errors"]
            told: Json = error["extensions"]
            return told

        told = await refusal(engine={"type": "SGLANG"})
        assert (told["code"], told["status"], told["reason"]) == ("KUBERNETES_ERROR", 422, "Invalid")
        cause = told["causes"][0]
        assert (cause["field"], cause["reason"]) == ("spec.engine.type", "FieldValueNotSupported")
        assert cause["message"] == 'Unsupported value: "sglang": supported values: "vllm"'

        told = await refusal(model={"id": "forbidden/model"})
        assert (told["code"], told["status"]) == ("KUBERNETES_ERROR", 422)
        [cause] = told["causes"]
        assert (cause["field"], cause["reason"]) == ("spec.model.id", "FieldValueForbidden")
        assert cause["message"].endswith(IMMUTABLE)

        told = await refusal(name="disliked")
        assert (told["code"], told["status"]) == ("KUBERNETES_ERROR", 403)
        assert told["message"] == 'admission webhook "judge.airunway.ai" denied the request: not this name'

        told = await refusal(name="taken")
        assert (told["code"], told["status"], told["reason"]) == ("CONFLICT", 409, "AlreadyExists")
        assert (await refusal(namespace="nowhere"))["code"] == "NOT_FOUND"

        target = {"instanceId": instance_id, "namespace": "default", "name": "taken"}
        [error] = (await hub.ask(hub.deployer, DELETE, {"input": target | {"uid": "another"}}))["errors"]
        assert (error["extensions"]["code"], error["extensions"]["status"]) == ("CONFLICT", 409)
        [error] = (await hub.ask(hub.deployer, DELETE, {"input": target | {"name": "unknown"}}))["errors"]
        assert error["extensions"]["code"] == "NOT_FOUND"

        fine = {"input": target | {"name": "odd", "model": {"id": "m"}}}
        assert (await hub.data(hub.deployer, CREATE, fine))["createDeployment"]["warnings"] == [
            'an "odd" name'
        ]


async def _refuses(kubectl: Kubectl, manifest: Json) -> bool:
    try:
        await kubectl.post(deployments("default"), manifest, dryRun="All")
    except Refused as refusal:
        return refusal.status == 422
    return False


def _be_strict(spec: Json) -> None:
    """As clusters of other versions are: an engine less, and a rule more, in the words of upstream's."""
    spec["properties"]["engine"]["properties"]["type"]["enum"] = ["vllm"]
    rule = {
        "rule": "self.model.id != 'forbidden/model'",
        "fieldPath": ".model.id",
        "reason": "FieldValueForbidden",
        "message": IMMUTABLE,
    }
    spec["x-kubernetes-validations"].append(rule)


async def _change_crd(kubectl: Kubectl, change: Callable[[Json], None]) -> None:
    path = f"{CRDS}/modeldeployments.airunway.ai"
    versions = (await kubectl.get(path))["spec"]["versions"]
    change(versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
    await kubectl.patch(path, {"spec": {"versions": versions}})


@asynccontextmanager
async def _webhook(folder: Path, kubectl: Kubectl) -> AsyncIterator[None]:
    """An admission webhook at work. It says no with 403, as controller-runtime's do."""
    pair = self_signed(names=["localhost"])
    app = web.Application()
    app.router.add_post("/", _judge)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "localhost", 0, ssl_context=_tls(folder, pair))
        await site.start()
        (address, *_) = runner.addresses
        client = {
            "url": f"https://localhost:{address[1]}/",
            "caBundle": base64.b64encode(pair.certificate).decode(),
        }
        rule = {
            "apiGroups": ["airunway.ai"],
            "apiVersions": ["*"],
            "operations": ["CREATE"],
            "resources": ["modeldeployments"],
        }
        webhook = {
            "name": "judge.airunway.ai",
            "clientConfig": client,
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        await kubectl.post(WEBHOOKS, {"metadata": {"name": "judge"}, "webhooks": [webhook]})
        await until(partial(_denied, kubectl))
        yield
    finally:
        await runner.cleanup()


async def _denied(kubectl: Kubectl) -> bool:
    try:
        await kubectl.post(deployments("default"), model_deployment("disliked"), dryRun="All")
    except Refused as refusal:
        return refusal.status == 403
    return False


def _tls(folder: Path, pair: Pair) -> ssl.SSLContext:
    certificate, key = folder / "tls.crt", folder / "tls.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return tls


async def _judge(request: web.Request) -> web.Response:
    review: Json = msgspec.json.decode(await request.read())
    name = review["request"]["name"]
    verdict = {
        "uid": review["request"]["uid"],
        "allowed": name != "disliked",
        "status": {"code": 403, "message": "not this name"},
        "warnings": ['an "odd" name'] if name == "odd" else [],
    }
    return web.json_response(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": verdict}
    )
