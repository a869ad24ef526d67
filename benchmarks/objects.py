"""ModelDeployments and pods as clusters send them: about 4 KB of JSON each, for the benchmarks."""

import json
from typing import Any

CONDITIONS = (
    ("Validated", "SchemaValid", "Schema validation passed"),
    ("EngineSelected", "ExplicitEngine", "Engine explicitly set in spec"),
    ("ProviderSelected", "MatchedRule", "Provider dynamo selected by rule on gpu and mode"),
    ("ProviderCompatible", "Compatible", "Configuration compatible with provider dynamo"),
    ("ResourceCreated", "ResourceCreated", "DynamoGraphDeployment created successfully"),
    ("Ready", "DeploymentReady", "All replicas are ready"),
    ("GatewayReady", "GatewayConfigured", "InferencePool and HTTPRoute created"),
)
MANAGERS = ("kubeairunway-hub", "airunway-controller", "dynamo-provider")


def deployment(*, number: int, namespace: str) -> dict[str, Any]:
    name = f"llama-3-1-8b-instruct-{number:05d}"
    seconds = f"{number // 60 % 60:02d}:{number % 60:02d}"
    spec = {
        "model": {"id": f"meta-llama/Llama-3.1-8B-Instruct-{number % 40}", "source": "huggingface"},
        "engine": {"type": "vllm", "contextLength": 32768, "args": {"gpu-memory-utilization": "0.92"}},
        "provider": {"name": "dynamo"},
        "serving": {"mode": "aggregated"},
        "scaling": {"replicas": 2},
        "resources": {"gpu": {"count": 1, "type": "nvidia.com/gpu"}, "memory": "64Gi"},
        "secrets": {"huggingFaceToken": "hf-token"},
    }
    return {
        "apiVersion": "airunway.ai/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"7f6c1a52-5d0e-4b7e-9f0a-{number:012d}",
            "resourceVersion": str(8_000_000 + number),
            "generation": 3,
            "creationTimestamp": f"2026-11-02T08:{seconds}Z",
            "labels": {"app.kubernetes.io/managed-by": "kubeairunway-hub", "team": namespace},
            "annotations": {
                "hub.airunway.ai/created-by": "Ada Lovelace",
                "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": spec}),
            },
            "finalizers": ["airunway.ai/finalizer"],
            "managedFields": [_managed(manager, seconds) for manager in MANAGERS],
        },
        "spec": spec,
        "status": _status(name, seconds),
    }


def _managed(manager: str, seconds: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "f:engine": {".": {}, "f:type": {}},
        "f:model": {"f:id": {}},
        "f:scaling": {"f:replicas": {}},
    }
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "airunway.ai/v1alpha1",
        "time": f"2026-11-02T08:{seconds}Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": fields},
    }


def _status(name: str, seconds: str) -> dict[str, Any]:
    return {
        "phase": "Running",
        "message": "All replicas are ready",
        "observedGeneration": 3,
        "provider": {"name": "dynamo", "resourceName": name, "resourceKind": "DynamoGraphDeployment"},
        "engine": {"type": "vllm", "selectedReason": "explicitly set in spec"},
        "replicas": {"desired": 2, "ready": 2, "available": 2},
        "endpoint": {"service": f"{name}-frontend", "port": 8000},
        "image": {"resolved": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.6.1", "source": "stable"},
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": message,
                "observedGeneration": 3,
                "lastTransitionTime": f"2026-11-02T08:{seconds}Z",
            }
            for kind, reason, message in CONDITIONS
        ],
    }


def pod(*, number: int, namespace: str) -> dict[str, Any]:
    """The one pod of the deployment of this number."""
    name = f"llama-3-1-8b-instruct-{number:05d}"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-vllmworker-6c9f7d5b8-x2k4q",
            "namespace": namespace,
            "uid": f"0d3b9d0e-93c1-4c4f-8a57-{number:012d}",
            "resourceVersion": str(9_000_000 + number),
            "creationTimestamp": "2026-11-02T08:00:00Z",
            "labels": {
                "app.kubernetes.io/instance": name,
                "nvidia.com/dynamo-graph-deployment-name": name,
                "pod-template-hash": "6c9f7d5b8",
            },
        },
        "spec": {
            "nodeName": f"gpu-pool-{number % 64:02d}",
            "containers": [{"name": "main", "image": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.6.1"}],
        },
        "status": {
            "phase": "Running",
            "startTime": "2026-11-02T08:00:03Z",
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": "2026-11-02T08:00:03Z"}
                for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": [
                {
                    "name": "main",
                    "ready": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-11-02T08:00:20Z"}},
                }
            ],
        },
    }
