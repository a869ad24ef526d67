"""docs/clients.md and docs/examples, as a person runs them who follows the document."""

import asyncio
import json
import os
import re
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from auth.permissions import Role
from hub.demo.cluster import SimulatedCluster
from tests.support.clients import needs_curl
from tests.support.demo import running_demo
from tests.support.hub import running
from tests.support.instances import until_instance
from tests.support.node import CLIENTS, MODULES
from tests.support.simulation import model_deployment

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "clients.md"
EXAMPLES = ROOT / "docs" / "examples"
TYPESCRIPT = EXAMPLES / "typescript"
QUICK = {"WEBSOCKETS_BACKOFF_INITIAL_DELAY": "0.1", "WEBSOCKETS_BACKOFF_MIN_DELAY": "0.1"}
"""What the websockets library waits before it tries again."""
CONFLICT = r"CONFLICT\b.* already exists"


@dataclass(frozen=True)
class Block:
    """A block of code in the document."""

    language: str
    text: str


def blocks() -> Sequence[Block]:
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(match[1], match[2]) for match in found]


def commands() -> Iterator[tuple[str, Block]]:
    """Every curl command with what it is to answer."""
    for command, answer in pairwise(blocks()):
        if command.language == "bash" and "curl" in command.text:
            yield command.text, answer


@asynccontextmanager
async def output(*command: str, **environment: str) -> AsyncIterator[asyncio.StreamReader]:
    """What a program prints; it is ended with the block, if it hasn't ended well by itself."""
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **environment}, stdout=PIPE, start_new_session=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None and not process.stdout.at_eof():
            os.killpg(process.pid, 15)
        assert await process.wait() in (0, -15)


async def lines(*command: str, **environment: str) -> Sequence[str]:
    """All that a program prints until it ends well."""
    async with output(*command, **environment) as printed, asyncio.timeout(60):
        return (await printed.read()).decode().splitlines()


async def sign_in(base: str) -> str:
    async with httpx2.AsyncClient(base_url=base, trust_env=False) as http:
        answer = await http.post("/api/auth/demo", json={"user": "ml-team"})
    token: str = answer.json()["accessToken"]
    return token


@pytest.fixture(scope="module")
async def token(demo_hub: str) -> str:
    return await sign_in(demo_hub)


# ------------------------------------------------------------ the document


def test_what_the_document_quotes_stands_in_an_example() -> None:
    files = [path.read_text() for path in EXAMPLES.rglob("*") if path.suffix in (".py", ".ts")]
    quoted = [block.text for block in blocks() if block.language in ("python", "ts")]
    assert len(quoted) > 5
    assert [text for text in quoted if not any(text in file for file in files)] == []


@needs_curl
async def test_each_curl_command_answers_as_the_document_says(tmp_path: Path) -> None:
    assert len(list(commands())) > 4
    async with running_demo(tmp_path) as base:
        settings = {"HUB": base, "TOKEN": await sign_in(base), "NO_PROXY": "*"}
        for command, answer in commands():
            async with output("bash", "-c", command, **settings) as printed, asyncio.timeout(20):
                if answer.language == "json":
                    given = json.loads(await printed.read())
                    assert given == matching(json.loads(answer.text), given), command
                else:
                    for line in answer.text.splitlines():
                        assert (await printed.readline()).decode().rstrip("\n") == line, command


def matching(expected: Any, given: Any) -> Any:
    """What is expected, with what was given in place of an ellipsis."""
    if expected == "…":
        return given
    if isinstance(expected, dict) and isinstance(given, dict):
        return {key: matching(value, given.get(key)) for key, value in expected.items()}
    if isinstance(expected, list) and isinstance(given, list) and len(expected) == len(given):
        return [matching(*pair) for pair in zip(expected, given, strict=True)]
    return expected


# ------------------------------------------------------------ Python


async def test_deployments_py(demo_hub: str, token: str) -> None:
    program = str(EXAMPLES / "deployments.py")
    printed = await lines(sys.executable, "-W", "error", program, token, f"{demo_hub}/graphql")
    assert "RUNNING prod-east/ml-team/llama-3-1-8b" in printed, "on the second page"
    created = next(line.removeprefix("created ") for line in printed if line.startswith("created "))
    assert re.search(CONFLICT.replace(r"\b", "'.*"), "\n".join(printed))
    assert f"ADDED {created} PENDING" in printed
    assert printed[-1] == f"MODIFIED {created} RUNNING"


async def test_follow_py_outlives_a_restart_of_the_hub(
    tmp_path: Path, simulated_cluster: SimulatedCluster
) -> None:
    simulated_cluster.apply(model_deployment("llama"))

    async def until_synced(printed: asyncio.StreamReader) -> Sequence[str]:
        async with asyncio.timeout(30):
            added = []
            while (line := (await printed.readline()).decode().split())[0] != "SYNCED":
                added += [line[1]] if line[0] == "ADDED" else []
            return added

    async with AsyncExitStack() as followers:
        async with running(tmp_path) as hub:
            token = await hub.token("admin", Role.ADMIN)
            simulated_cluster.write_kubeconfig(hub.credentials / "east.kubeconfig")
            await until_instance(hub, token, "east", status="CONNECTED")
            command = (
                sys.executable,
                str(EXAMPLES / "follow.py"),
                token,
                f"ws://127.0.0.1:{hub.port}/graphql",
            )
            printed = await followers.enter_async_context(output(*command, **QUICK))
            assert await until_synced(printed) == ["east/ml-team/llama"]
        simulated_cluster.apply(model_deployment("phi"))
        async with running(tmp_path, port=hub.port):
            assert await until_synced(printed) == ["east/ml-team/llama", "east/ml-team/phi"]
            await followers.aclose()


async def test_follow_py_says_what_is_wrong_with_a_credential(demo_hub: str) -> None:
    address = demo_hub.replace("http", "ws") + "/graphql"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / "follow.py"), "kah_bad", address, stderr=PIPE
    )
    _, complaint = await process.communicate()
    assert process.returncode == 1
    assert complaint.decode() == "The credential isn't one of this hub's\n"


# ------------------------------------------------------------ TypeScript


@pytest.fixture(scope="module")
async def built(tmp_path_factory: pytest.TempPathFactory, node_clients: str) -> Path:
    """The TypeScript project, with types from the schema, checked and compiled, in a directory of its own."""
    checkout = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "schema.graphql", checkout)
    project = checkout / "docs" / "examples" / "typescript"
    shutil.copytree(TYPESCRIPT, project, ignore=shutil.ignore_patterns("node_modules", "build", "generated"))
    (project / "node_modules").symlink_to(MODULES)
    for command in json.loads((project / "package.json").read_text())["scripts"]["build"].split(" && "):
        process = await asyncio.create_subprocess_exec(
            node_clients, str(MODULES / ".bin" / command), cwd=project, stdout=PIPE, stderr=PIPE
        )
        said = b"".join(await process.communicate()).decode()
        assert process.returncode == 0, said
    return project / "build"


def test_the_project_wants_the_packages_that_are_tested() -> None:
    wanted, tested = (
        {
            name: version
            for key in ("dependencies", "devDependencies")
            for name, version in listed[key].items()
        }
        for listed in (json.loads((folder / "package.json").read_text()) for folder in (TYPESCRIPT, CLIENTS))
    )
    assert wanted.items() <= tested.items()


@pytest.mark.node
@pytest.mark.parametrize("name", ["apollo", "urql", "fetch"])
async def test_typescript_asks_and_creates(
    name: str, demo_hub: str, token: str, built: Path, node_clients: str
) -> None:
    printed = await lines(node_clients, str(built / f"{name}.js"), token, f"{demo_hub}/graphql")
    if name == "fetch":
        assert "RUNNING prod-east/ml-team/llama-3-1-8b" in printed
        assert re.fullmatch(r"created prod-east/ml-team/fetch-\d+", printed[-2])
    else:
        assert re.fullmatch(r"\d+ deployments", printed[0])
        assert printed[1].strip() == "SYNCED"
        assert re.fullmatch(rf"ADDED prod-east/ml-team/{name}-\d+", printed[2])
    assert any(re.fullmatch(CONFLICT, line) for line in printed)


@pytest.mark.node
@pytest.mark.parametrize(("name", "scheme"), [("websocket", "ws"), ("sse", "http")])
async def test_typescript_follows(
    name: str, scheme: str, demo_hub: str, token: str, built: Path, node_clients: str
) -> None:
    address = f"{demo_hub.replace('http', scheme)}/graphql"
    async with (
        output(node_clients, str(built / f"{name}.js"), token, address) as printed,
        asyncio.timeout(20),
    ):
        added = []
        while (line := (await printed.readline()).decode().split())[0] != "SYNCED":
            added.append(line)
    assert ["ADDED", "prod-east/ml-team/llama-3-1-8b", "RUNNING"] in added
