"""Acting on a cluster behind the hub's back, as a person with kubectl would: raw HTTP, plain dicts."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

import aiohttp
import yaml

from tests.support.envtest import SOURCE
from tests.support.waiting import until

Json = dict[str, Any]

API_GROUPS = ("airunway.ai", "kubeairunway.ai", "kubefoundry.kubefoundry.ai")
"""AI Runway's groups, the newest first; each has its CRD file in tests/envtest/crds."""

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HUB_RULES: Sequence[Json] = (
    {"apiGroups": list(API_GROUPS), "resources": ["modeldeployments"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods", "pods/log", "events"], "verbs": ["get", "list", "watch"]},
)
"""What the hub needs within a namespace."""

MOST_TRIES = 100


class Refused(Exception):
    """The API server answered with an error; `body` is its Status, or has its text as `message`."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(f"{status} {body.get('reason')}: {body.get('message')}")
        self.status = status
        self.body = body


def deployments(namespace: str | None = None, name: str | None = None, *, group: str = "airunway.ai") -> str:
    """The path of one ModelDeployment, of a namespace's, or of all."""
    path = f"/apis/{group}/v1alpha1"
    if namespace is not None:
        path += f"/namespaces/{namespace}"
    return f"{path}/modeldeployments" + (f"/{name}" if name is not None else "")


def model_deployment(name: str, *, group: str = "airunway.ai", **spec: Any) -> Json:
    """A manifest; `spec` beside or instead of a small model on vllm, without GPUs."""
    return {
        "apiVersion": f"{group}/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": {"model": {"id": "Qwen/Qwen3-0.6B"}, "engine": {"type": "vllm"}} | spec,
    }


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """One API server and one bearer token."""

    session: aiohttp.ClientSession
    url: str
    token: str

    def with_token(self, token: str) -> "Kubectl":
        return replace(self, token=token)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str],
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> str:
        """The text of the answer, a watch's when it has ended. Raises Refused.

        Asks again when it is 429, as kubectl does: a CRD's storage isn't there at once, nor after a restart.
        """
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        data = None if body is None else json.dumps(body)
        for _ in range(MOST_TRIES):
            async with self.session.request(
                method, self.url + path, data=data, headers=headers, params=params
            ) as answer:
                text = await answer.text()
            if answer.status != 429:
                break
            await asyncio.sleep(0.1)
        if answer.status >= 400:
            # Not every refusal is a Status: an unknown group is a 404 in plain text.
            is_status = answer.content_type == "application/json"
            raise Refused(answer.status, json.loads(text) if is_status else {"message": text})
        return text

    async def get(self, path: str, **params: str) -> Json:
        return _parsed(await self.request("GET", path, params=params))

    async def post(self, path: str, body: Json, **params: str) -> Json:
        return _parsed(await self.request("POST", path, body=body, params=params))

    async def patch(self, path: str, body: Json, **params: str) -> Json:
        """A merge patch: null removes. `…/status` patches the status subresource."""
        kind = "application/merge-patch+json"
        return _parsed(await self.request("PATCH", path, body=body, content_type=kind, params=params))

    async def delete(self, path: str, **params: str) -> Json:
        """A pod that is bound to a node goes only with gracePeriodSeconds="0": there is no kubelet."""
        return _parsed(await self.request("DELETE", path, params=params))

    async def answers(self, path: str, status: int = 200) -> bool:
        """Whether a GET has this status now; to wait for."""
        try:
            await self.get(path)
        except Refused as refusal:
            return refusal.status == status
        return status == 200

    async def watch(self, path: str, *, seconds: int = 1, **params: str) -> list[Json]:
        """The events of a watch that lasts so long."""
        watch = {"watch": "true", "timeoutSeconds": str(seconds)} | params
        text = await self.request("GET", path, params=watch)
        return [_parsed(line) for line in text.splitlines()]

    async def create_namespace(self, name: str | None = None) -> str:
        """Makes a namespace, of a name of its own unless given. Deleting one never ends: no controller."""
        name = name or f"test-{uuid4().hex[:8]}"
        await self.post("/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    async def create_node(self, name: str, *, gpus: int = 8, gpu_resource: str = "nvidia.com/gpu") -> None:
        """Makes a Ready node that pods may be bound to."""
        path = f"/api/v1/nodes/{name}"
        await self.post("/api/v1/nodes", {"metadata": {"name": name}})
        resources = {"cpu": "64", "memory": "512Gi", "pods": "110", gpu_resource: str(gpus)}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        status = {"capacity": resources, "allocatable": resources, "conditions": [ready]}
        await self.patch(f"{path}/status", {"status": status})
        await self.patch(path, {"spec": {"taints": None}})  # every new node is tainted not-ready

    async def create_pod(
        self, namespace: str, name: str, *, labels: Mapping[str, str], node: str | None = None, gpus: int = 0
    ) -> Json:
        """Makes a Pending pod with a container `main`, bound to a node if given."""
        limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
        container = {"name": "main", "image": "vllm/vllm-openai", "resources": {"limits": limits}}
        spec = {"containers": [container]} | ({"nodeName": node} if node else {})
        pod = {"metadata": {"name": name, "labels": dict(labels)}, "spec": spec}
        return await self.post(f"/api/v1/namespaces/{namespace}/pods", pod)

    async def install_crds(self, group: str = "airunway.ai") -> None:
        """Installs a group's CRDs and returns once their objects can be listed."""
        for crd in _crds(group):
            await self.post(CRDS, crd)
            await until(partial(self.answers, _objects(crd)))

    async def delete_crds(self, group: str = "airunway.ai") -> None:
        """Deletes a group's CRDs with all their objects and returns once they are gone."""
        for crd in _crds(group):
            path = f"{CRDS}/{crd['metadata']['name']}"
            await self.delete(path)
            await until(partial(self.answers, path, 404))
            await until(partial(self.answers, _objects(crd), 404))

    async def limited_token(
        self, *namespaces: str, rules: Sequence[Json] = HUB_RULES, seconds: int = 3600
    ) -> str:
        """A token of a new service account in the first namespace that holds the rules in these alone.

        `seconds` is at least 600. Deleting the account makes the token invalid, once the API server's
        cache of tokens has let it go (10 s).
        """
        home, name = namespaces[0], f"hub-{uuid4().hex[:8]}"
        accounts = f"/api/v1/namespaces/{home}/serviceaccounts"
        await self.post(accounts, {"metadata": {"name": name}})
        for namespace in namespaces:
            await self._allow({"kind": "ServiceAccount", "namespace": home, "name": name}, namespace, rules)
        answer = await self.post(f"{accounts}/{name}/token", {"spec": {"expirationSeconds": seconds}})
        return str(answer["status"]["token"])

    async def _allow(self, subject: Json, namespace: str, rules: Sequence[Json]) -> None:
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        metadata = {"name": subject["name"]}
        await self.post(f"{rbac}/roles", {"metadata": metadata, "rules": list(rules)})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": subject["name"]}
        await self.post(
            f"{rbac}/rolebindings", {"metadata": metadata, "subjects": [subject], "roleRef": role}
        )


def _objects(crd: Json) -> str:
    return f"/apis/{crd['spec']['group']}/v1alpha1/{crd['spec']['names']['plural']}"


def _crds(group: str) -> list[Json]:
    return list(yaml.safe_load_all((SOURCE / "crds" / f"{group}.yaml").read_text()))


def _parsed(text: str) -> Json:
    body: Json = json.loads(text)
    return body
