"""(c) What a cached deployment weighs, and what 100 clusters of 1,000 weigh together.

Deployments of about 4 KB of JSON, decoded as the client decodes them and put
into the stores, first alone, then each with a pod of its own. Weighed as the growth of the process (RSS), so
the change log, the indexes and the allocator's losses are in it.
"""

import gc
import json
from collections.abc import Callable

import msgspec
import psutil

from benchmarks import objects
from benchmarks.figures import Figure
from cluster.store import Store
from cluster.wire import ModelDeployment, Pod

CLUSTERS = 100
DEPLOYMENTS = 1_000
NAMESPACES = 20
MAX_EACH = 5 * 1024
"""Bytes."""
MAX_TOTAL = 1024
"""MiB of the whole process (issue 3)."""


def weigh(fill: Callable[[], None]) -> int:
    """Bytes that the process grew by."""
    gc.collect()
    before = psutil.Process().memory_info().rss
    fill()
    gc.collect()
    return psutil.Process().memory_info().rss - before


def numbers() -> list[tuple[int, str]]:
    return [(number, f"team-{number % NAMESPACES:02d}") for number in range(DEPLOYMENTS)]


def fill_deployments(stores: list[Store]) -> None:
    decode = msgspec.json.Decoder(ModelDeployment).decode
    for store in stores:
        for number, namespace in numbers():
            resource = decode(json.dumps(objects.deployment(number=number, namespace=namespace)))
            store.apply_deployment(resource, api_group="airunway.ai")


def fill_pods(stores: list[Store]) -> None:
    decode = msgspec.json.Decoder(Pod).decode
    for store in stores:
        store.replace_pods(
            (decode(json.dumps(objects.pod(number=number, namespace=where))) for number, where in numbers()),
            scope=None,
        )


def run() -> list[Figure]:
    stores = [Store(f"cluster-{index:03d}") for index in range(CLUSTERS)]
    count = CLUSTERS * DEPLOYMENTS
    raw = len(json.dumps(objects.deployment(number=1, namespace="team-01"), separators=(",", ":")))
    each = weigh(lambda: fill_deployments(stores)) / count
    pod = weigh(lambda: fill_pods(stores)) / count
    total = psutil.Process().memory_info().rss / 2**20
    return [
        Figure(
            what=f"a cached deployment of {raw:,} bytes of JSON", value=each, unit="bytes", limit=MAX_EACH
        ),
        Figure(what="cached ÷ its JSON", value=each / raw, unit="×"),
        Figure(what="its pod", value=pod, unit="bytes"),
        Figure(
            what=f"{CLUSTERS} × {DEPLOYMENTS:,} with a pod each", value=total, unit="MiB", limit=MAX_TOTAL
        ),
    ]
