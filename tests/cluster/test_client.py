"""The client against real HTTP servers: what it understands, what it says of failures, how it logs in."""

import asyncio
import os
import signal
import ssl
import stat
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from aiohttp import web

from cluster import paths
from cluster.client import Client, open_client
from cluster.errors import ApiError, CredentialRejected, Silent, Unreachable
from cluster.events import Applied, Bookmark, Opened, Removed, Undecodable
from cluster.wire import ModelDeployment, Resource
from hub.demo.cluster import SimulatedCluster
from hub.demo.faults import CutMidLine, Hang, Refuse, Silence
from hub.demo.resources import model_deployments
from tests.support.certificates import Pair, self_signed
from tests.support.fleets import FAST, credential
from tests.support.kubeconfigs import client_certificate, kubeconfig
from tests.support.simulation import model_deployment

MODELS = model_deployments()
ALL = paths.deployments("airunway.ai", None)
IN_TEAM = paths.deployments("airunway.ai", "ml-team")


@pytest.fixture
async def client(simulated_cluster: SimulatedCluster) -> AsyncIterator[Client]:
    async with open_client(credential(simulated_cluster.kubeconfig()), timing=FAST) as opened:
        yield opened


async def test_a_list_comes_in_pages(simulated_cluster: SimulatedCluster, client: Client) -> None:
    for number in range(5):
        simulated_cluster.apply(model_deployment(f"model-{number}"))
    first = await client.page(ALL, ModelDeployment, limit=3)
    second = await client.page(ALL, ModelDeployment, token=first.next, limit=3)
    assert [each.metadata.name for each in first.items + second.items] == [f"model-{n}" for n in range(5)]
    assert (first.remaining, second.next) == (2, "")
    assert first.version == second.version


async def test_a_watch_tells_what_happens_after_a_version(
    simulated_cluster: SimulatedCluster, client: Client
) -> None:
    page = await client.page(ALL, ModelDeployment)
    async with aclosing(client.watch(ALL, ModelDeployment, version=page.version)) as events:
        assert await anext(events) == Opened()
        simulated_cluster.apply(model_deployment("llama"))
        simulated_cluster.delete(MODELS, "ml-team", "llama")
        added, deleted = await anext(events), await anext(events)
    assert isinstance(added, Applied)
    assert isinstance(deleted, Removed)
    assert added.resource.metadata.uid == deleted.resource.metadata.uid
    assert int(added.version) < int(deleted.version)


async def test_a_line_of_nine_megabytes_passes(simulated_cluster: SimulatedCluster, client: Client) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    page = await client.page(ALL, ModelDeployment)
    async with aclosing(client.watch(ALL, ModelDeployment, version=page.version)) as events:
        await anext(events)
        simulated_cluster.bloat(MODELS, "ml-team", "llama")
        simulated_cluster.apply(model_deployment("next"))
        big, after = await anext(events), await anext(events)
    assert isinstance(big, Applied)
    assert isinstance(after, Applied)
    assert [big.resource.metadata.name, after.resource.metadata.name] == ["llama", "next"]


async def test_a_cut_line_and_a_silent_watch_are_told_apart(simulated_cluster: SimulatedCluster) -> None:
    timing = msgspec.structs.replace(FAST, silence=0.2)
    async with open_client(credential(simulated_cluster.kubeconfig()), timing=timing) as client:
        version = (await client.page(ALL, ModelDeployment)).version
        for fault, error in ((CutMidLine(), Unreachable), (Silence(), Silent)):
            injected = simulated_cluster.faults.inject(fault)
            async with aclosing(client.watch(ALL, ModelDeployment, version=version)) as events:
                assert await anext(events) == Opened()
                with pytest.raises(error):
                    await anext(events)
            injected.clear()


async def test_a_server_status_comes_whole(client: Client) -> None:
    body = model_deployment("llama", model={"id": 7}, engine={"type": "abacus"})
    with pytest.raises(ApiError) as raised:
        await client.create(IN_TEAM, body, ModelDeployment, params={})
    assert (raised.value.status, raised.value.reason) == (422, "Invalid")
    assert {cause.field for cause in raised.value.causes} == {"spec.model.id", "spec.engine.type"}
    assert 'ModelDeployment.airunway.ai "llama" is invalid' in raised.value.message


async def test_retry_after_is_seconds(simulated_cluster: SimulatedCluster, client: Client) -> None:
    simulated_cluster.faults.inject(Refuse(status=429, retry_after=3))
    with pytest.raises(ApiError) as raised:
        await client.page(ALL, ModelDeployment)
    assert (raised.value.status, raised.value.retry_after) == (429, 3)


async def test_a_write_brings_the_warnings_and_a_dry_run_writes_nothing(
    simulated_cluster: SimulatedCluster, client: Client
) -> None:
    body = model_deployment("llama", colour="blue")
    answer = await client.create(IN_TEAM, body, ModelDeployment, params={"dryRun": "All"})
    assert answer.value.metadata.name == "llama"
    assert answer.warnings == ('unknown field "spec.colour"',)
    assert simulated_cluster.objects(MODELS) == []


async def test_a_delete_of_another_object_under_the_same_name_is_a_conflict(
    simulated_cluster: SimulatedCluster, client: Client
) -> None:
    uid = simulated_cluster.apply(model_deployment("llama"))["metadata"]["uid"]
    simulated_cluster.recreate(MODELS, "ml-team", "llama")
    path = paths.deployment("airunway.ai", "ml-team", "llama")
    with pytest.raises(ApiError) as raised:
        await client.delete(path, {"preconditions": {"uid": uid}}, ModelDeployment)
    assert raised.value.status == 409
    assert await client.delete(path, {}, ModelDeployment) is None
    assert simulated_cluster.objects(MODELS) == []


@pytest.mark.parametrize("name", ["..", ".", ""])
def test_a_name_that_walks_elsewhere_is_no_path(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        paths.deployment("airunway.ai", "ml-team", name)


async def test_a_name_with_slashes_stays_one_segment(
    simulated_cluster: SimulatedCluster, client: Client
) -> None:
    simulated_cluster.apply(model_deployment("llama", namespace="team-b"))
    path = paths.deployment("airunway.ai", "ml-team", "../../team-b/modeldeployments/llama")
    with pytest.raises(ApiError) as raised:
        await client.delete(path, {}, ModelDeployment)
    assert raised.value.status == 404
    assert len(simulated_cluster.objects(MODELS)) == 1


# ------------------------------------------------------------ unreachable, in words


async def test_a_refused_connection_says_what_to_check(
    simulated_cluster: SimulatedCluster, client: Client
) -> None:
    await simulated_cluster.stop()
    with pytest.raises(
        Unreachable, match=r"127\.0\.0\.1:\d+: the connection is refused\. Check that the API"
    ):
        await client.page(ALL, ModelDeployment)


async def test_no_answer_in_time(simulated_cluster: SimulatedCluster) -> None:
    timing = msgspec.structs.replace(FAST, answer=0.1)
    simulated_cluster.faults.inject(Hang())
    async with open_client(credential(simulated_cluster.kubeconfig()), timing=timing) as client:
        with pytest.raises(Unreachable, match="didn't answer in time"):
            await client.page(ALL, ModelDeployment)


async def test_an_unknown_host() -> None:
    text = kubeconfig(server="https://nowhere.invalid", ca=self_signed().certificate, user={"token": "t"})
    async with open_client(credential(text), timing=FAST) as client:
        with pytest.raises(Unreachable, match="the name can't be resolved"):
            await client.page(ALL, ModelDeployment)


async def test_a_server_that_is_no_api_server_is_not_quoted() -> None:
    async def page(_: web.BaseRequest) -> web.Response:
        return web.Response(text="<h1>secret intranet</h1>", content_type="text/html")

    async with served(page) as url, _client_of(url) as client:
        with pytest.raises(Unreachable, match="isn't that of a Kubernetes API server") as raised:
            await client.page(ALL, ModelDeployment)
    assert "intranet" not in str(raised.value)


async def test_an_error_page_is_not_quoted() -> None:
    async def refuse(_: web.BaseRequest) -> web.Response:
        return web.Response(text="secret intranet " * 100_000, status=502)

    async with served(refuse) as url, _client_of(url) as client:
        with pytest.raises(ApiError) as raised:
            await client.page(ALL, ModelDeployment)
    assert (raised.value.status, raised.value.message) == (502, "")


async def test_redirects_are_not_followed() -> None:
    async def redirect(request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": f"http://{request.host}/elsewhere"})

    async with served(redirect) as url, _client_of(url) as client:
        with pytest.raises(Unreachable, match="leads elsewhere"):
            await client.page(ALL, ModelDeployment)


async def test_an_odd_object_hides_no_other() -> None:
    good, odd = model_deployment("good"), model_deployment("odd", scaling="many")

    async def answer(request: web.BaseRequest) -> web.Response:
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "5"}, "items": [odd, good]})
        events = [("MODIFIED", odd), ("DELETED", odd), ("BOOKMARK", {"metadata": {"resourceVersion": "9"}})]
        lines = [msgspec.json.encode({"type": kind, "object": body}) + b"\n" for kind, body in events]
        return web.Response(body=b"".join(lines))

    async with served(answer) as url, _client_of(url) as client:
        page = await client.page(ALL, ModelDeployment)
        events = [each async for each in client.watch(ALL, ModelDeployment, version="5")]
    assert [each.metadata.name for each in page.items] == ["good"]
    assert page.undecodable[0].key == "ml-team/odd"
    assert "$.spec.scaling" in page.undecodable[0].problem
    assert [type(each) for each in events] == [Opened, Undecodable, Removed, Bookmark]


# ------------------------------------------------------------ logging in


async def test_a_token_file_is_read_for_every_request(
    simulated_cluster: SimulatedCluster, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(simulated_cluster.token + "\n")
    config = _with_user(simulated_cluster, {"tokenFile": "token"})
    async with open_client(credential(config, directory=tmp_path), timing=FAST) as client:
        await client.page(ALL, ModelDeployment)
        simulated_cluster.tokens.revoke(simulated_cluster.token)
        with pytest.raises(ApiError):
            await client.page(ALL, ModelDeployment)
        token_file.write_text(simulated_cluster.tokens.issue())
        await client.page(ALL, ModelDeployment)
        token_file.unlink()
        with pytest.raises(CredentialRejected, match="tokenFile"):
            await client.page(ALL, ModelDeployment)


PLUGIN = """#!{python}
import datetime, json, pathlib
runs = pathlib.Path({runs!r})
runs.write_text(runs.read_text() + "x")
ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds={seconds})
status = {{"token": pathlib.Path({token!r}).read_text(), "expirationTimestamp": ends.isoformat()}}
print(json.dumps({{"apiVersion": {version!r}, "kind": "ExecCredential", "status": status}}))
"""
VERSION = "client.authentication.k8s.io/v1"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of programs on the PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _plugin(directory: Path, *, seconds: int, token: str) -> Path:
    """A plugin whose credentials last so long; the file that counts its runs."""
    runs, token_file = directory / "runs", directory / "token"
    runs.write_text("")
    token_file.write_text(token)
    text = PLUGIN.format(
        python=sys.executable, runs=str(runs), token=str(token_file), seconds=seconds, version=VERSION
    )
    _program(directory / "login", text)
    return runs


@pytest.mark.parametrize(("seconds", "expected"), [(3600, "x"), (30, "xxx")])
async def test_a_plugin_runs_again_a_minute_before_its_credential_expires(
    simulated_cluster: SimulatedCluster, programs: Path, seconds: int, expected: str
) -> None:
    config = _with_user(simulated_cluster, {"exec": {"apiVersion": VERSION, "command": "login"}})
    runs = _plugin(programs, seconds=seconds, token=simulated_cluster.token)
    async with open_client(credential(config, plugins=["login"]), timing=FAST) as client:
        await client.page(ALL, ModelDeployment)
        await client.page(ALL, ModelDeployment)
    assert runs.read_text() == expected


async def test_a_refused_credential_makes_the_plugin_run_again(
    simulated_cluster: SimulatedCluster, programs: Path
) -> None:
    config = _with_user(simulated_cluster, {"exec": {"apiVersion": VERSION, "command": "login"}})
    _plugin(programs, seconds=3600, token=simulated_cluster.token)
    async with open_client(credential(config, plugins=["login"]), timing=FAST) as client:
        simulated_cluster.tokens.revoke(simulated_cluster.token)
        (programs / "token").write_text(simulated_cluster.tokens.issue())
        with pytest.raises(ApiError):
            await client.page(ALL, ModelDeployment)
        await client.page(ALL, ModelDeployment)


async def test_a_plugin_that_hangs_is_killed_with_all_it_started(
    simulated_cluster: SimulatedCluster, programs: Path
) -> None:
    pids = programs / "pids"
    _program(programs / "login", f"#!/bin/sh\nsleep 100 &\necho $$ $! > {pids}\nwait\n")
    config = _with_user(simulated_cluster, {"exec": {"apiVersion": VERSION, "command": "login"}})
    timing = msgspec.structs.replace(FAST, plugin=0.5)
    with pytest.raises(CredentialRejected, match=r"login printed no credential within 0\.5 s"):
        async with open_client(credential(config, plugins=["login"]), timing=timing):
            pass
    for pid in map(int, pids.read_text().split()):
        assert not _runs(pid)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo please log in >&2; exit 3", "exit code 3: please log in"),
        ("echo hello", "printed no ExecCredential"),
        ("yes complaint | head -c 300000 >&2; exit 1", "exit code 1"),
    ],
)
async def test_a_plugin_that_fails_says_why(
    simulated_cluster: SimulatedCluster, programs: Path, script: str, reason: str
) -> None:
    _program(programs / "login", f"#!/bin/sh\n{script}\n")
    config = _with_user(simulated_cluster, {"exec": {"apiVersion": VERSION, "command": "login"}})
    with pytest.raises(CredentialRejected, match=reason):
        async with open_client(credential(config, plugins=["login"]), timing=FAST):
            pass


async def test_a_plugin_that_isnt_there(simulated_cluster: SimulatedCluster) -> None:
    config = _with_user(simulated_cluster, {"exec": {"apiVersion": VERSION, "command": "no-such-plugin"}})
    with pytest.raises(CredentialRejected, match="can't be started: No such file"):
        async with open_client(credential(config, plugins=["no-such-plugin"]), timing=FAST):
            pass


# ------------------------------------------------------------ TLS


@pytest.fixture(scope="module")
def pairs() -> tuple[Pair, Pair]:
    """A server's, for cluster.example, and a person's."""
    return self_signed(names=["cluster.example"]), self_signed()


async def _who(request: web.BaseRequest) -> web.Response:
    assert request.transport is not None
    certificate = request.transport.get_extra_info("peercert")
    return web.json_response({"metadata": {"resourceVersion": "1"}, "items": [], "shown": bool(certificate)})


async def test_mutual_tls_under_another_server_name(pairs: tuple[Pair, Pair], tmp_path: Path) -> None:
    server, person = pairs
    async with served(_who, tls=_server_tls(server, person, tmp_path)) as url:
        config = _tls_config(url, server, person, {"tls-server-name": "cluster.example"})
        async with open_client(credential(config), timing=FAST) as client:
            assert (await client.page(ALL, Resource)).version == "1"


async def test_a_certificate_that_cant_be_trusted(pairs: tuple[Pair, Pair], tmp_path: Path) -> None:
    server, person = pairs
    async with served(_who, tls=_server_tls(server, person, tmp_path)) as url:
        for config, why in (
            (_tls_config(url, self_signed(), person, {}), "self-signed certificate"),
            (_tls_config(url, server, person, {}), "mismatch"),
        ):
            async with open_client(credential(config), timing=FAST) as client:
                with pytest.raises(Unreachable, match=rf"can't be trusted \(.*{why}"):
                    await client.page(ALL, Resource)


HOLD = """
import asyncio, sys
from pathlib import Path
from cluster.client import open_client
from tests.support.fleets import FAST, credential

async def main():
    async with open_client(credential(Path(sys.argv[1]).read_text()), timing=FAST):
        print("open", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_no_key_is_ever_on_a_disk(pairs: tuple[Pair, Pair], tmp_path: Path) -> None:
    """In a process of its own, whose temporary files all go to one place, and that is killed: slow."""
    config, temporary = tmp_path / "config", tmp_path / "temporary"
    temporary.mkdir()
    config.write_text(_tls_config("https://127.0.0.1:1", *pairs, {}))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLD, str(config)),
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"open\n"
    assert list(temporary.iterdir()) == []
    process.send_signal(signal.SIGTERM)
    await process.wait()
    assert list(temporary.iterdir()) == []


# ------------------------------------------------------------ helpers


@asynccontextmanager
async def served(
    answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _client_of(url: str) -> AsyncIterator[Client]:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
    }
    async with open_client(credential(config), timing=FAST) as client:
        yield client


def _with_user(cluster: SimulatedCluster, user: dict[str, Any]) -> dict[str, Any]:
    config = cluster.kubeconfig()
    config["users"][0]["user"] = user
    return config


def _tls_config(url: str, server: Pair, person: Pair, more: dict[str, str]) -> str:
    user = client_certificate(certificate=person.certificate, key=person.key)
    config = yaml.safe_load(kubeconfig(server=url, ca=server.certificate, user=user))
    config["clusters"][0]["cluster"] |= more
    return yaml.safe_dump(config)


def _server_tls(server: Pair, person: Pair, directory: Path) -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=person.certificate.decode())
    tls.verify_mode = ssl.CERT_REQUIRED
    (directory / "server").write_bytes(server.certificate + server.key)
    tls.load_cert_chain(directory / "server")
    return tls


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
