"""An answer is shared by those who ask the same with the same rights, and by nobody else."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.routing import Route

from auth.grants import TokenLimits
from auth.permissions import Role, Scope
from schema.fanout import Cohort
from schema.view import View
from tests.support.simulation import model_deployment
from tests.support.surface import World, a_world, until_ids
from tests.support.waiting import until

OWN = Scope("east", ("ml-team",))
TO_OWN = TokenLimits(instance_ids=("east",), namespaces=("ml-team",))
PEOPLE: Mapping[str, tuple[Role, Scope, TokenLimits]] = {
    "admin": (Role.ADMIN, Scope(), TokenLimits()),
    "viewer": (Role.VIEWER, Scope(), TokenLimits()),
    "deployer": (Role.DEPLOYER, Scope(), TokenLimits()),
    "own viewer": (Role.VIEWER, OWN, TokenLimits()),
    "own deployer": (Role.DEPLOYER, OWN, TokenLimits()),
    "viewer cut to own": (Role.VIEWER, Scope(), TO_OWN),
    "deployer cut to own": (Role.DEPLOYER, Scope(), TO_OWN),
    "another viewer": (Role.VIEWER, Scope(), TokenLimits()),
}
ALIKE = {
    "admin": 1,
    "viewer": 2,
    "deployer": 3,
    "own viewer": 4,
    "own deployer": 5,
    "viewer cut to own": 4,
    "deployer cut to own": 5,
    "another viewer": 2,
}
"""Who has the same effective rights as whom."""

VIEWS = ["VIEW_INSTANCES", "VIEW_DEPLOYMENTS"]
DEPLOYS = [*VIEWS, "MANAGE_DEPLOYMENTS"]
HUB = ["MANAGE_USERS", "MANAGE_GROUP_MAPPINGS", "MANAGE_INSTANCES", "VIEW_AUDIT_LOG"]
MAY = {1: [*DEPLOYS, *HUB], 2: VIEWS, 3: DEPLOYS, 4: VIEWS, 5: DEPLOYS}

DEPLOYMENTS = "subscription { deploymentEvents { type deployment { id viewerCan instance { endpoint } } } }"
INSTANCES = """subscription { instanceEvents { type instance {
  id endpoint credential { source } viewerCan namespaces deploymentCount } } }"""
SUMMARIES = "subscription { deploymentSummaryEvents { total sources { instanceId } } }"


@pytest.fixture(scope="module")
async def watched_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("hub")) as world:
        world.east.apply(model_deployment("llama"))
        world.east.apply(model_deployment("mistral", namespace="team-b"))
        await until_ids(world, "east/ml-team/llama", "east/team-b/mistral")
        yield world


@pytest.fixture(scope="module")
async def tokens(watched_world: World) -> Mapping[str, str]:
    return {
        name: await watched_world.hub.token(name.replace(" ", "-"), role, scope, limits=limits)
        for name, (role, scope, limits) in PEOPLE.items()
    }


def cohorts(world: World) -> list[Cohort]:
    for route in world.hub.running.app.routes:
        if isinstance(route, Route) and isinstance(view := route.endpoint, View):
            return view.fanout._all()
    raise AssertionError("nothing is served at /graphql")


def expected_deployment(world: World, person: str) -> dict[str, Any]:
    rights = ALIKE[person]
    endpoint = world.east.url if rights == 1 else None
    return {"id": "east/ml-team/llama", "viewerCan": MAY[rights], "instance": {"endpoint": endpoint}}


def expected_instance(world: World, person: str) -> dict[str, Any]:
    rights = ALIKE[person]
    everywhere = rights <= 3
    return {
        "id": "east",
        "endpoint": world.east.url if rights == 1 else None,
        "credential": {"source": "FILE"} if rights == 1 else None,
        "viewerCan": MAY[rights],
        "namespaces": ["default", "kube-system", "ml-team", "team-b"] if everywhere else ["ml-team"],
        "deploymentCount": 2 if everywhere else 1,
    }


@pytest.mark.parametrize("query", [DEPLOYMENTS, INSTANCES, SUMMARIES])
async def test_a_stream_is_shared_by_the_same_rights_alone(
    watched_world: World, tokens: Mapping[str, str], query: str
) -> None:
    """Word for word the same question from eight people with five kinds of rights."""
    async with AsyncExitStack() as stack:
        sockets = {
            person: await stack.enter_async_context(watched_world.hub.socket(token))
            for person, token in tokens.items()
        }
        for socket in sockets.values():
            await socket.subscribe(query)
        for person, socket in sockets.items():
            if query is DEPLOYMENTS:
                shown = await socket.next()
                while shown["deployment"] is None or shown["deployment"]["id"] != "east/ml-team/llama":
                    shown = await socket.next()
                assert shown["deployment"] == expected_deployment(watched_world, person)
            elif query is INSTANCES:
                assert (await socket.next())["instance"] == expected_instance(watched_world, person)
            else:
                summary = await socket.next()
                everywhere = ALIKE[person] <= 3
                assert summary == {
                    "total": 2 if everywhere else 1,
                    "sources": [
                        {"instanceId": each} for each in (["east", "west"] if everywhere else ["east"])
                    ],
                }

        async def together() -> bool:
            return len(cohorts(watched_world)) == len(set(ALIKE.values()))

        await until(together)
        assert sorted(len(cohort.members) for cohort in cohorts(watched_world)) == [1, 1, 2, 2, 2]

    async def left() -> bool:
        return not cohorts(watched_world)

    await until(left)


async def test_other_variables_are_another_question(watched_world: World, tokens: Mapping[str, str]) -> None:
    query = """subscription ($filter: DeploymentFilter) {
      deploymentEvents(filter: $filter) { type instanceId deploymentId } }"""
    async with (
        watched_world.hub.socket(tokens["viewer"]) as one,
        watched_world.hub.socket(tokens["another viewer"]) as other,
    ):
        await one.subscribe(query, {"filter": {"namespaces": ["ml-team"], "instanceIds": ["east"]}})
        await other.subscribe(query, {"filter": {"namespaces": ["team-b"], "instanceIds": ["east"]}})
        assert (await one.next())["deploymentId"] == "east/ml-team/llama"
        assert (await other.next())["deploymentId"] == "east/team-b/mistral"


async def test_a_query_is_shared_by_the_same_rights_alone(
    watched_world: World, tokens: Mapping[str, str]
) -> None:
    """Asked at once, in an order that needs a scan, which those who see the same places do share."""
    query = """{ deployments(orderBy: {field: PHASE}) {
      nodes { id viewerCan instance { endpoint } } sources { instanceId } }
      instance(id: "east") { id endpoint credential { source } viewerCan namespaces deploymentCount } }"""
    asked = [person for person in PEOPLE for _ in range(5)]
    answers = await asyncio.gather(*(watched_world.hub.data(tokens[person], query) for person in asked))
    for person, answer in zip(asked, answers, strict=True):
        assert answer["instance"] == expected_instance(watched_world, person)
        nodes = {node["id"]: node for node in answer["deployments"]["nodes"]}
        assert nodes["east/ml-team/llama"] == expected_deployment(watched_world, person)
        assert len(nodes) == (2 if ALIKE[person] <= 3 else 1)
        seen = ["east", "west"] if ALIKE[person] <= 3 else ["east"]
        assert [source["instanceId"] for source in answer["deployments"]["sources"]] == seen
