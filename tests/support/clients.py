"""The GraphQL clients that people use, each asking one operation of a hub and handing on what comes.

What comes is a line, whichever the client: `{"next": …}`, `{"error": […]}`, `{"complete": True}`,
`{"closed": code}` of a WebSocket, and `{"fetched": …}` for each HTTP request of a client that is traced.
"""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.async_transport import AsyncTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from tests.support.node import CLIENTS

HTTP, GET, PERSISTED = "HTTP", "HTTP GET", "HTTP, persisted"
WEBSOCKET, SSE = "WebSocket", "SSE"
WITHIN = 20.0
"""Seconds that a line may take."""

needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None and os.environ.get("CI") != "true", reason="no curl on this machine"
)

Line = Mapping[str, Any]
NextLine = Callable[[], Awaitable[Line]]


@dataclass(frozen=True)
class Credential:
    tokens: Sequence[str] = ()
    """A client that connects again shows the next one; the last serves all that follow."""
    cookie: str | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """A cookie acts in a person's name, so the hub asks for a header that no foreign page can send."""
        if self.cookie is not None:
            return {"cookie": self.cookie, "x-hub-request": "clients"}
        return {"authorization": f"Bearer {self.tokens[0]}"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """One operation, and whom to ask it how."""

    port: int
    transport: str
    query: str
    credential: Credential
    variables: Mapping[str, Any] | None = None
    traced: bool = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}/graphql"

    @property
    def payload(self) -> Mapping[str, Any]:
        return {"query": self.query, "variables": self.variables or {}}


def asking(client: str, question: Question, *, node: str = "node") -> AbstractAsyncContextManager[NextLine]:
    """The client's lines until the block ends, which ends the client."""
    match client:
        case "curl":
            return _curl(question)
        case "gql":
            return _gql(question)
        case _:
            return _script(client, question, node)


# ------------------------------------------------------------ npm's


@asynccontextmanager
async def _script(name: str, question: Question, node: str) -> AsyncIterator[NextLine]:
    asked = {
        **question.payload,
        "url": f"http://{question.address}",
        "transport": question.transport,
        "tokens": question.credential.tokens or None,
        "cookie": question.credential.cookie,
        "traced": question.traced,
    }
    process = await asyncio.create_subprocess_exec(
        node, str(CLIENTS / f"{name}.mjs"), json.dumps(asked), stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    printed = process.stdout

    async def next_line() -> Line:
        async with asyncio.timeout(WITHIN):
            line: Line = json.loads(await printed.readline())
            return line

    try:
        yield next_line
    finally:
        process.stdin.close()
        async with asyncio.timeout(WITHIN):
            assert await process.wait() == 0


# ------------------------------------------------------------ curl


@asynccontextmanager
async def _curl(question: Question) -> AsyncIterator[NextLine]:
    address, body = f"http://{question.address}", json.dumps(question.payload)
    headers = dict(question.credential.headers)
    if question.transport == GET:
        asked = {"query": question.query, "variables": json.dumps(question.variables or {})}
        arguments = [f"{address}?{urlencode(asked)}"]
    else:
        arguments = [address, "-d", body]
        headers |= {"content-type": "application/json"}
    if question.transport == SSE:
        headers |= {"accept": "text/event-stream"}
    for name, value in headers.items():
        arguments += ["-H", f"{name}: {value}"]
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "--no-buffer", "--noproxy", "*", *arguments, stdout=PIPE
    )
    assert process.stdout is not None
    read = _event if question.transport == SSE else _answer
    printed = process.stdout

    async def next_line() -> Line:
        async with asyncio.timeout(WITHIN):
            return await read(printed)

    try:
        yield next_line
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answer(printed: asyncio.StreamReader) -> Line:
    return _told(json.loads(await printed.read()))


async def _event(printed: asyncio.StreamReader) -> Line:
    """The next event of a stream that isn't a comment."""
    fields: dict[str, str] = {}
    while line := (await printed.readline()).decode():
        name, _, value = line.rstrip("\n").partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
        elif "event" in fields:
            break
    return {"complete": True} if fields["event"] == "complete" else _told(json.loads(fields["data"]))


def _told(result: Mapping[str, Any]) -> Line:
    return {"error": result["errors"]} if "errors" in result else {"next": result}


# ------------------------------------------------------------ Python's gql


@asynccontextmanager
async def _gql(question: Question) -> AsyncIterator[NextLine]:
    request = GraphQLRequest(question.query, variable_values=dict(question.variables or {}))
    async with Client(transport=_transport(question)) as session:
        if question.query.lstrip().startswith("subscription"):
            answers = session.subscribe(request)
            once = answers.__anext__
        else:
            answers = None

            async def once() -> Any:
                return await session.execute(request)

        async def next_line() -> Line:
            async with asyncio.timeout(WITHIN):
                try:
                    return {"next": {"data": await once()}}
                except TransportQueryError as error:
                    return {"error": error.errors}

        try:
            yield next_line
        finally:
            if answers is not None:
                await answers.aclose()


def _transport(question: Question) -> AsyncTransport:
    credential = question.credential
    if question.transport == HTTP:
        return AIOHTTPTransport(f"http://{question.address}", headers=dict(credential.headers))
    return WebsocketsTransport(
        url=f"ws://{question.address}",
        init_payload={"authorization": f"Bearer {credential.tokens[0]}"} if credential.tokens else {},
        headers={"Cookie": credential.cookie} if credential.cookie else None,
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        connect_args={"proxy": None},
    )
