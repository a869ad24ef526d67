"""What the list's benchmark measures, against a real server with known answers."""

import asyncio
from collections.abc import AsyncIterator
from os import getpid
from urllib.parse import urlsplit

import pytest
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from benchmarks.load import Answered, fetch, measure, post
from tests.support.serving import served

LARGE = 3_000_000
"""Bytes of an answer that comes in many pieces."""
DELAY = 0.05
"""Seconds that the slow answer takes."""


async def _echo(request: Request) -> Response:
    return JSONResponse({"body": await request.json(), "authorization": request.headers["authorization"]})


async def _large(_: Request) -> Response:
    return PlainTextResponse("x" * LARGE)


async def _slow(_: Request) -> Response:
    await asyncio.sleep(DELAY)
    return PlainTextResponse("y" * LARGE)


async def _chunked(_: Request) -> Response:
    return StreamingResponse(iter(["some", "thing"]))


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    endpoints = {"/echo": _echo, "/large": _large, "/slow": _slow, "/chunked": _chunked}
    routes = [Route(path, endpoint, methods=["POST"]) for path, endpoint in endpoints.items()]
    async with served(Starlette(routes=routes)) as url:
        yield urlsplit(url).port or 0


async def _measured(port: int, path: str) -> Answered:
    requests = [post(path, {}, token="any")] * 4
    return await to_thread.run_sync(lambda: measure(port, requests, pid=getpid(), seconds=0.3))


async def test_a_request_carries_its_body_and_token(port: int) -> None:
    answer = await to_thread.run_sync(fetch, port, post("/echo", {"query": "{ é }"}, token="secret"))
    assert answer == b'{"body":{"query":"{ \xc3\xa9 }"},"authorization":"Bearer secret"}'


async def test_an_answer_in_many_pieces_is_read_whole(port: int) -> None:
    answer = await to_thread.run_sync(fetch, port, post("/large", {}, token="any"))
    assert answer == b"x" * LARGE


async def test_an_answer_counts_from_the_request_until_its_last_byte(port: int) -> None:
    measured = await _measured(port, "/slow")
    assert DELAY * 1_000 <= measured.p50 <= measured.p99
    assert 0 < measured.rate <= 4 / DELAY
    assert measured.cpu > 0


@pytest.mark.parametrize("path", ["/nowhere", "/chunked"])
async def test_what_is_no_whole_answer_is_an_error(port: int, path: str) -> None:
    with pytest.raises(ValueError, match="no answer with a content-length: HTTP"):
        await _measured(port, path)


async def test_a_server_that_goes_away_is_an_error() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        with pytest.raises(ConnectionError):
            await _measured(server.sockets[0].getsockname()[1], "/")
