"""The child's side of a benchmark's process: one line of JSON asks, one line answers."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import psutil

Commands = Mapping[str, Callable[..., Awaitable[Any]]]


async def obey(hello: Mapping[str, Any], commands: Commands) -> None:
    """Say `hello`, then do what standard input asks until it ends."""
    every: Commands = {**commands, "usage": _usage}
    _say(hello)
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        async for line in reader:
            arguments = json.loads(line)
            _say(await every[arguments.pop("do")](**arguments))
    finally:
        transport.close()


async def _usage() -> dict[str, float]:
    """CPU seconds that the process has used, and the bytes that it occupies."""
    return {"cpu": time.process_time(), "rss": psutil.Process().memory_info().rss}


def _say(answer: Any) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()
