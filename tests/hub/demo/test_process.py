"""The cluster as a process of its own. Slow: each test starts an interpreter."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from hub.demo.resources import model_deployments

PATH = model_deployments().path()
Json = dict[str, Any]


@asynccontextmanager
async def started() -> AsyncIterator[tuple[Process, Json]]:
    command = (sys.executable, "-m", "hub.demo.cluster", "--name", "bench", "--namespace", "ml-team")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    try:
        yield process, json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_it_serves_what_its_line_says_and_ends_with_its_input(session: aiohttp.ClientSession) -> None:
    async with started() as (process, line):
        assert line["name"] == "bench"
        token = line["kubeconfig"]["users"][0]["user"]["token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with session.get(line["url"] + PATH, headers=headers) as answer:
            assert (await answer.json())["items"] == []
        async with session.get(f"{line['control']}/requests") as answer:
            assert await answer.json() == {"list modeldeployments": 1}
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_it_ends_at_sigterm(session: aiohttp.ClientSession) -> None:
    async with started() as (process, line):
        headers = {"Authorization": f"Bearer {line['kubeconfig']['users'][0]['user']['token']}"}
        async with session.get(line["url"] + PATH, params={"watch": "true"}, headers=headers) as watching:
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 10) == 0
            with pytest.raises((aiohttp.ClientPayloadError, ConnectionResetError)):
                await watching.content.read()


async def test_it_is_controlled_from_outside(session: aiohttp.ClientSession) -> None:
    async with started() as (_, line):
        control, listing = line["control"], line["url"] + PATH

        async def post(path: str, body: Json) -> Json:
            async with session.post(f"{control}/{path}", json=body, raise_for_status=True) as answer:
                answered: Json = await answer.json()
                return answered

        token = (await post("tokens", {"namespaces": None}))["token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert await post("objects", {"count": 20, "namespaces": ["ml-team"]}) == {"created": 20}
        achieved = await post("load", {"rate": 500, "seconds": 0.2})
        assert 0 < achieved["events"] <= 500
        async with session.get(listing, headers=headers) as answer:
            items = (await answer.json())["items"]
        assert len(items) == 20
        assert all(item["status"]["message"].isdigit() for item in items)

        await post("faults", {"type": "Refuse", "status": 503, "retry_after": 1})
        async with session.get(listing, headers=headers) as answer:
            assert answer.status == 503
        async with session.delete(f"{control}/faults"):
            pass
        await post("stop", {})
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(listing, headers=headers)
        await post("start", {})
        async with session.delete(f"{control}/groups/airunway.ai"):
            pass
        async with session.get(listing, headers=headers) as answer:
            assert answer.status == 404
        async with session.put(f"{control}/groups/airunway.ai"):
            pass
        async with session.delete(f"{control}/tokens/{token}"):
            pass
        async with session.get(listing, headers=headers) as answer:
            assert answer.status == 401


async def test_a_foreign_page_cannot_control_it(session: aiohttp.ClientSession) -> None:
    async with started() as (_, line):
        async with session.post(f"{line['control']}/faults", data=b'{"type":"Hang"}') as answer:
            assert answer.status == 415
        async with session.post(f"{line['control']}/faults", json={"type": "Nonsense"}) as answer:
            assert answer.status == 400
