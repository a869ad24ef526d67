"""What takes too long is given up, said so, and leaves nothing behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.demo.faults import Hang, Verb
from schema.limits import Limits
from tests.support.surface import World, a_world
from tests.support.waiting import until

CREATE = """
mutation ($name: String!) {
  createDeployment(input: {instanceId: "east", namespace: "ml-team", name: $name, model: {id: "m"}}) {
    deployment { id }
  }
}
"""
SEARCH = "query ($text: String) { deployments(filter: {search: $text}) { totalCount } }"


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, limits=Limits(deadline=1)) as world:
        yield world


async def until_all_is_as_before(before: set[Any]) -> None:
    """No task is left of what was asked for meanwhile."""

    async def stands() -> bool:
        return len(asyncio.all_tasks()) <= len(before)

    await until(stands)


def check(error: dict[str, Any], limit: int) -> None:
    extensions = error["extensions"]
    assert {name: extensions[name] for name in ("code", "reason", "limit", "actual")} == {
        "code": "LIMIT_EXCEEDED",
        "reason": "DEADLINE",
        "limit": limit,
        "actual": None,
    }


async def test_a_mutation_says_that_it_may_have_happened(impatient: World) -> None:
    world = impatient
    world.east.faults.inject(Hang(verbs=frozenset({Verb.CREATE})))
    before = asyncio.all_tasks()
    began = time.monotonic()
    answer = await world.hub.ask(world.admin, CREATE, {"name": "one"})
    assert 1 <= time.monotonic() - began < 5
    assert answer["data"] is None
    (error,) = answer["errors"]
    check(error, 1)
    assert error["message"] == (
        "This took longer than 1 s and was given up; what was asked may or may not have happened"
    )
    async with world.hub.socket(world.admin) as socket:
        await socket.subscribe(CREATE, {"name": "two"})
        message = await socket.receive()
        assert (message["type"], message["payload"]["data"]) == ("next", None)
        check(message["payload"]["errors"][0], 1)
        assert (await socket.receive())["type"] == "complete"
        # The connection goes on.
        assert (await (await socket.subscribe("{ hub { mode } }", operation="2")).next())["mode"] == "HUB"
    await until_all_is_as_before(before)


async def test_a_query(tmp_path: Path) -> None:
    async with a_world(tmp_path, limits=Limits(deadline=0)) as world:
        before = asyncio.all_tasks()
        answer = await world.hub.ask(world.admin, SEARCH, {"text": "x"})
        (error,) = answer["errors"]
        check(error, 0)
        assert error["message"] == "This took longer than 0 s and was given up"
        await until_all_is_as_before(before)
