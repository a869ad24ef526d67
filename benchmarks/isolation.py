"""(e) What the API server is asked with one subscriber and with 1,000: the same."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure
from benchmarks.processes import MEASURING, Cluster, namespaces, pin, running_hub
from benchmarks.subscribers import QUERY, Subscribers

DEPLOYMENTS, RATE, SECONDS = 100, 50, 10


def run() -> list[Figure]:
    pin(MEASURING)
    with TemporaryDirectory() as name:
        folder = Path(name)
        spaces = namespaces(10)
        with Cluster(name="east", cwd=folder, deployments=DEPLOYMENTS, namespaces=spaces) as cluster:
            one, many = (_requests(cluster, folder / str(count), count) for count in (1, 1_000))
    print(f"with 1: {dict(one)}\nwith 1,000: {dict(many)}")
    return [
        Figure(what="requests to the API server with 1 subscriber", value=one.total()),
        Figure(what="requests to the API server with 1,000 subscribers", value=many.total()),
        Figure(what="difference, of any kind", value=((one - many) + (many - one)).total(), limit=0),
    ]


def _requests(cluster: Cluster, folder: Path, subscribers: int) -> Counter[str]:
    """What a fresh hub asks of the cluster, from its start through a while of events."""
    before = Counter(cluster.control("requests"))
    with (
        running_hub(folder, cluster) as hub,
        Subscribers() as following,
        ThreadPoolExecutor() as beside,
    ):
        following.subscribe(hub.hello, subscribers, operation=lambda _: {"query": QUERY % ""})
        load = beside.submit(cluster.control, "load", {"rate": RATE, "seconds": SECONDS})
        while not load.done():
            following.collect(1, within=1)
        return Counter(cluster.control("requests")) - before
