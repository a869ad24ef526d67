"""Processes beside a benchmark, and the cores that they run on."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

ROOT = Path(__file__).parent.parent
MEASURED, MEASURING = 0, 1
"""Cores: what is measured has one to itself, where there are two."""


def pin(core: int, pid: int = 0) -> None:
    """Keep a process (0: this one) on a core, where the system can do that."""
    if sys.platform == "linux" and (os.cpu_count() or 1) > core:
        os.sched_setaffinity(pid, {core})


@contextmanager
def _inherited(core: int | None) -> Iterator[None]:
    """What starts meanwhile stays on the core (None: may use all), with every thread that it ever makes."""
    if sys.platform != "linux":
        yield
        return
    own, every = os.sched_getaffinity(0), set(range(os.cpu_count() or 1))
    os.sched_setaffinity(0, every if core is None else {core} & every or every)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


class Child:
    """A process that talks by lines of JSON (`benchmarks.commands`) and ends with its standard input."""

    def __init__(
        self,
        *words: str,
        core: int | None,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m"),
    ) -> None:
        with _inherited(core):
            self._process = subprocess.Popen(
                [*program, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=cwd,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            )
        self.hello: dict[str, Any] = self._answer()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=30)

    def tell(self, do: str, **arguments: Any) -> None:
        """Ask for something whose answer `done` waits for."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        self._process.stdin.flush()

    def done(self) -> Any:
        return self._answer()

    def ask(self, do: str, **arguments: Any) -> Any:
        self.tell(do, **arguments)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended")
        return json.loads(line)


class Cluster(Child):
    """A simulated API server, with deployments."""

    def __init__(self, *, name: str, cwd: Path, deployments: int, namespaces: Sequence[str]) -> None:
        spaces = [word for namespace in namespaces for word in ("--namespace", namespace)]
        super().__init__("hub.demo.cluster", "--name", name, *spaces, core=MEASURING, cwd=cwd)
        self.control("objects", {"count": deployments, "namespaces": list(namespaces)})

    @property
    def kubeconfig(self) -> dict[str, Any]:
        config: dict[str, Any] = self.hello["kubeconfig"]
        return config

    def control(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What `hub.demo.control` answers: to a POST with a body, else to a GET."""
        request = urllib.request.Request(
            f"{self.hello['control']}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)


def namespaces(count: int) -> list[str]:
    return [f"team-{number:02d}" for number in range(count)]


def hub_environment(folder: Path, *clusters: Cluster, port: int = 0) -> dict[str, str]:
    """Settings of a hub in this folder that watches the clusters."""
    credentials = folder / "credentials"
    credentials.mkdir(parents=True, exist_ok=True)
    for cluster in clusters:
        path = credentials / f"{cluster.hello['name']}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(cluster.kubeconfig))
    return {
        "HUB_MODE": "true",
        "PORT": str(port),
        "CREDENTIALS_PATH": str(credentials),
        "DATABASE_URL": f"sqlite://{folder}/hub.db",
        "SESSION_SECRET": "a secret of the benchmarks, long enough",
        "HUB_LIMIT_PERSON_OPERATIONS": "10000",  # a thousand subscribers and more are one person here
    }


@contextmanager
def running_hub(folder: Path, *clusters: Cluster) -> Iterator[Child]:
    """`benchmarks.hub_process` with these clusters; its state is below the folder."""
    environment = hub_environment(folder, *clusters)
    with Child("benchmarks.hub_process", core=MEASURED, cwd=folder, environment=environment) as hub:
        yield hub
