"""The ModelDeployment that a draft asks for (CLUSTERS.md of the design has its fields).

`provider.overrides` and `gateway.httpRouteRef` are never written: providers merge overrides into pod specs,
so they would let a deployer run privileged pods.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import to_builtins

from cluster.draft_checks import MANAGED_BY, check_draft
from cluster.drafts import DeploymentDraft, EngineDraft, Model, Pair

CREATED_BY = "hub.airunway.ai/created-by"
"""The annotation with the display name of the person; `cluster.wire.Annotations` reads it."""


def build_manifest(draft: DeploymentDraft, *, created_by: str | None) -> dict[str, Any]:
    """The object to POST, without the `apiVersion` that depends on the cluster.

    Raises `InvalidDraft`. What the draft leaves out isn't written, so that the cluster's defaults hold.
    """
    check_draft(draft)
    return {
        "kind": "ModelDeployment",
        "metadata": _given(
            namespace=draft.namespace,
            name=draft.name,
            labels={**_mapping(draft.labels), MANAGED_BY: "kubeairunway-hub"},
            annotations={CREATED_BY: created_by} if created_by else None,
        ),
        "spec": _given(
            model=_model(draft.model),
            provider=_given(name=draft.provider),
            engine=_engine(draft.engine) if draft.engine else None,
            serving=_given(mode=to_builtins(draft.mode)),
            scaling=_given(
                replicas=draft.replicas,
                prefill=to_builtins(draft.prefill),
                decode=to_builtins(draft.decode),
            ),
            resources=to_builtins(draft.resources),
            image=draft.image,
            env=to_builtins(draft.env),
            secrets=_given(huggingFaceToken=draft.hugging_face_token_secret),
            gateway=to_builtins(draft.gateway),
            nodeSelector=_mapping(draft.node_selector),
            tolerations=to_builtins(draft.tolerations),
        ),
    }


def _model(model: Model) -> dict[str, Any]:
    written: dict[str, Any] = to_builtins(model)
    if volumes := written.pop("volumes", None):
        written["storage"] = {"volumes": volumes}
    return written


def _engine(engine: EngineDraft) -> dict[str, Any]:
    written: dict[str, Any] = to_builtins(engine)
    if engine.args:
        written["args"] = _mapping(engine.args)
    return written


def _mapping(pairs: Iterable[Pair]) -> dict[str, str]:
    return {pair.name: pair.value for pair in pairs}


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that say something: neither None nor empty."""
    return {name: value for name, value in fields.items() if value not in (None, {}, [], ())}
