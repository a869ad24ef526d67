"""Kubernetes events about pods, counted up as the API server's clients do."""

from zlib import crc32

from hub.demo.cluster import SimulatedCluster
from hub.demo.objects import Json, timestamp
from hub.demo.resources import EVENTS


class EventRecorder:
    """Writes events; the same reason and message about the same pod is one event with a count."""

    def __init__(self, *, cluster: SimulatedCluster) -> None:
        self._cluster = cluster

    def record(self, pod: Json, type_: str, reason: str, message: str) -> None:
        metadata = pod["metadata"]
        namespace, pod_name = metadata["namespace"], metadata["name"]
        digest = crc32(f"{metadata['uid']}{reason}{message}".encode())
        name = f"{pod_name}.{digest:08x}"
        known = self._cluster.store.serve(EVENTS).get(namespace, name)
        now = timestamp()
        if known is not None:
            count = known.read()["count"] + 1
            self._cluster.patch(EVENTS, namespace, name, {"count": count, "lastTimestamp": now})
            return
        involved = {"kind": "Pod", "namespace": namespace, "name": pod_name, "uid": metadata["uid"]}
        event: Json = {"apiVersion": "v1", "kind": "Event", "involvedObject": involved}
        event |= {"metadata": {"name": name, "namespace": namespace}, "type": type_, "reason": reason}
        event |= {"message": message, "count": 1, "firstTimestamp": now, "lastTimestamp": now}
        self._cluster.apply(event | {"source": {"component": "kubelet"}})

    def forget(self, pod: Json) -> None:
        """Remove a pod's events, so that a cluster that runs for days doesn't fill with them."""
        metadata = pod["metadata"]
        for event in self._cluster.objects(EVENTS, metadata["namespace"]):
            if event["involvedObject"]["uid"] == metadata["uid"]:
                self._cluster.delete(EVENTS, metadata["namespace"], event["metadata"]["name"])
