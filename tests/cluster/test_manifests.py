"""From what a person asks for to the object that the cluster gets."""

import json
from typing import Any

import msgspec
import pytest

from cluster.drafts import (
    AccessMode,
    DeploymentDraft,
    Engine,
    EngineDraft,
    Gateway,
    Gpu,
    Model,
    ModelSource,
    Pair,
    Resources,
    RoleScaling,
    ServingMode,
    TaintEffect,
    Toleration,
    TolerationOperator,
    Volume,
    VolumePurpose,
)
from cluster.errors import InvalidDraft
from cluster.manifests import build_manifest
from cluster.wire import ModelDeployment

LABEL = "must be a DNS label: lower-case letters, digits and '-', at most 63 characters"
SUBDOMAIN = "must be a DNS name: lower-case letters, digits, '-' and '.', at most 253 characters"


def draft(**fields: Any) -> DeploymentDraft:
    return DeploymentDraft(
        **{"namespace": "ml-team", "name": "llama", "model": Model(id="meta/llama"), **fields}
    )


def written(asked: DeploymentDraft, created_by: str | None = None) -> Any:
    """The manifest as it goes over the wire."""
    return json.loads(msgspec.json.encode(build_manifest(asked, created_by=created_by)))


def problems(asked: DeploymentDraft) -> dict[str, str]:
    with pytest.raises(InvalidDraft) as caught:
        build_manifest(asked, created_by=None)
    return dict(caught.value.problems)


def test_what_is_left_out_is_left_to_the_cluster() -> None:
    assert written(draft()) == {
        "kind": "ModelDeployment",
        "metadata": {
            "namespace": "ml-team",
            "name": "llama",
            "labels": {"app.kubernetes.io/managed-by": "kubeairunway-hub"},
        },
        "spec": {"model": {"id": "meta/llama"}},
    }


def test_everything() -> None:
    asked = draft(
        model=Model(
            id="meta/llama",
            source=ModelSource.HUGGINGFACE,
            served_name="llama",
            volumes=(
                Volume(
                    name="weights",
                    claim_name="weights-claim",
                    mount_path="/models",
                    purpose=VolumePurpose.MODEL_CACHE,
                    read_only=True,
                    size="100Gi",
                    storage_class_name="fast",
                    access_mode=AccessMode.READ_WRITE_ONCE_POD,
                ),
                Volume(name="compiled", purpose=VolumePurpose.COMPILATION_CACHE),
            ),
        ),
        engine=EngineDraft(
            type=Engine.TRTLLM,
            image="nvcr.io/engine:1",
            context_length=8192,
            trust_remote_code=False,
            enable_prefix_caching=True,
            enforce_eager=False,
            args=(Pair(name="max-num-seqs", value="64"),),
            extra_args=("--verbose",),
        ),
        provider="dynamo",
        mode=ServingMode.AGGREGATED,
        replicas=0,
        resources=Resources(gpu=Gpu(count=2, type="amd.com/gpu"), memory="64Gi", cpu="8"),
        image="ghcr.io/legacy:1",
        env=(Pair(name="HF_HOME", value="/models"),),
        hugging_face_token_secret="hf.token",
        gateway=Gateway(enabled=False, model_name="llama"),
        node_selector=(Pair(name="pool", value="gpu"),),
        tolerations=(
            Toleration(
                key="gpu",
                operator=TolerationOperator.EQUAL,
                value="yes",
                effect=TaintEffect.NO_EXECUTE,
                toleration_seconds=30,
            ),
            Toleration(operator=TolerationOperator.EXISTS, effect=TaintEffect.PREFER_NO_SCHEDULE),
        ),
        labels=(Pair(name="team", value="ml"),),
    )
    manifest = written(asked, created_by="Ada Lovelace")
    assert manifest["metadata"] == {
        "namespace": "ml-team",
        "name": "llama",
        "labels": {"team": "ml", "app.kubernetes.io/managed-by": "kubeairunway-hub"},
        "annotations": {"hub.airunway.ai/created-by": "Ada Lovelace"},
    }
    assert manifest["spec"] == {
        "model": {
            "id": "meta/llama",
            "source": "huggingface",
            "servedName": "llama",
            "storage": {
                "volumes": [
                    {
                        "name": "weights",
                        "claimName": "weights-claim",
                        "mountPath": "/models",
                        "purpose": "modelCache",
                        "readOnly": True,
                        "size": "100Gi",
                        "storageClassName": "fast",
                        "accessMode": "ReadWriteOncePod",
                    },
                    {"name": "compiled", "purpose": "compilationCache"},
                ]
            },
        },
        "provider": {"name": "dynamo"},
        "engine": {
            "type": "trtllm",
            "image": "nvcr.io/engine:1",
            "contextLength": 8192,
            "trustRemoteCode": False,
            "enablePrefixCaching": True,
            "enforceEager": False,
            "args": {"max-num-seqs": "64"},
            "extraArgs": ["--verbose"],
        },
        "serving": {"mode": "aggregated"},
        "scaling": {"replicas": 0},
        "resources": {"gpu": {"count": 2, "type": "amd.com/gpu"}, "memory": "64Gi", "cpu": "8"},
        "image": "ghcr.io/legacy:1",
        "env": [{"name": "HF_HOME", "value": "/models"}],
        "secrets": {"huggingFaceToken": "hf.token"},
        "gateway": {"enabled": False, "modelName": "llama"},
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [
            {
                "key": "gpu",
                "operator": "Equal",
                "value": "yes",
                "effect": "NoExecute",
                "tolerationSeconds": 30,
            },
            {"operator": "Exists", "effect": "PreferNoSchedule"},
        ],
    }


def test_disaggregated() -> None:
    role = RoleScaling(replicas=1, gpu=Gpu(count=2), memory="32Gi")
    manifest = written(draft(mode=ServingMode.DISAGGREGATED, prefill=role, decode=role))
    wanted = {"replicas": 1, "gpu": {"count": 2}, "memory": "32Gi"}
    assert manifest["spec"]["serving"] == {"mode": "disaggregated"}
    assert manifest["spec"]["scaling"] == {"prefill": wanted, "decode": wanted}


def test_who_created_it_is_read_where_it_was_written() -> None:
    sent = msgspec.json.encode(build_manifest(draft(), created_by="Ada"))
    assert msgspec.json.decode(sent, type=ModelDeployment).metadata.annotations.created_by == "Ada"


def test_names_that_would_walk_elsewhere() -> None:
    asked = draft(
        namespace="../../team-b",
        name="x/status",
        hugging_face_token_secret="a/b",
        model=Model(id="m", volumes=(Volume(name="a.b", claim_name="../c"),)),
    )
    assert problems(asked) == {
        "namespace": LABEL,
        "name": SUBDOMAIN,
        "huggingFaceTokenSecret": SUBDOMAIN,
        "model.volumes.0.name": LABEL,
        "model.volumes.0.claimName": SUBDOMAIN,
    }


def test_names_with_dots_are_for_deployments_alone() -> None:
    assert set(problems(draft(namespace="a.b"))) == {"namespace"}
    assert written(draft(name="llama-3.1"))["metadata"]["name"] == "llama-3.1"


def test_numbers_below_what_can_be() -> None:
    asked = draft(replicas=-1, resources=Resources(gpu=Gpu(count=-1)), engine=EngineDraft(context_length=0))
    assert problems(asked) == {
        "replicas": "must not be negative",
        "resources.gpu.count": "must not be negative",
        "engine.contextLength": "must be at least 1",
    }


def test_negative_numbers_of_roles() -> None:
    role = RoleScaling(replicas=-1, gpu=Gpu(count=-2))
    assert set(problems(draft(mode=ServingMode.DISAGGREGATED, prefill=role, decode=role))) == {
        "prefill.replicas",
        "prefill.gpu.count",
        "decode.replicas",
        "decode.gpu.count",
    }


@pytest.mark.parametrize("mode", [None, ServingMode.AGGREGATED])
def test_roles_are_for_disaggregated_serving(mode: ServingMode | None) -> None:
    role = RoleScaling(replicas=1, gpu=Gpu(count=1))
    assert problems(draft(mode=mode, prefill=role, decode=role)) == {
        "prefill": "needs mode DISAGGREGATED",
        "decode": "needs mode DISAGGREGATED",
    }


def test_disaggregated_serving_needs_its_roles_and_nothing_of_the_other_mode() -> None:
    asked = draft(
        mode=ServingMode.DISAGGREGATED,
        replicas=2,
        resources=Resources(gpu=Gpu(count=1)),
        prefill=RoleScaling(replicas=1, gpu=Gpu(count=0)),
    )
    assert problems(asked) == {
        "replicas": "is for mode AGGREGATED: prefill and decode have replicas of their own",
        "resources.gpu": "is for mode AGGREGATED: prefill and decode have GPUs of their own",
        "prefill.gpu.count": "must be at least 1 in mode DISAGGREGATED",
        "decode": "is needed in mode DISAGGREGATED",
    }


def test_what_is_there_twice() -> None:
    twice = (Pair(name="A", value="1"), Pair(name="B", value="2"), Pair(name="A", value="3"))
    asked = draft(
        env=twice,
        labels=twice,
        node_selector=twice,
        engine=EngineDraft(args=twice),
        model=Model(id="m", volumes=(Volume(name="v"), Volume(name="v"))),
    )
    assert problems(asked) == {
        "model.volumes.1.name": "v is there already",
        "engine.args.2.name": "A is there already",
        "env.2.name": "A is there already",
        "nodeSelector.2.key": "A is there already",
        "labels.2.key": "A is there already",
    }


def test_too_many_volumes_and_the_hubs_own_label() -> None:
    asked = draft(
        model=Model(id="m", volumes=tuple(Volume(name=f"v{number}") for number in range(9))),
        labels=(Pair(name="app.kubernetes.io/managed-by", value="me"),),
    )
    assert problems(asked) == {
        "model.volumes": "must be at most 8",
        "labels.0.key": "is set by the hub",
    }


def test_the_error_says_it_all_in_one_line() -> None:
    with pytest.raises(
        InvalidDraft, match=r"replicas: must not be negative; labels\.0\.key: is set by the hub"
    ):
        build_manifest(
            draft(replicas=-1, labels=(Pair(name="app.kubernetes.io/managed-by", value="x"),)),
            created_by=None,
        )
