"""`deployments` and `deploymentSummary`: filters, orders, pages, sources, facets."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth.permissions import Role, Scope
from hub.demo.resources import model_deployments
from tests.support.fleets import names, seen
from tests.support.simulation import model_deployment
from tests.support.surface import World, a_world, until_ids

MODELS = model_deployments()
PHASES = ["PENDING", "DEPLOYING", "RUNNING", "FAILED", "TERMINATING"]


def a_deployment(
    name: str,
    namespace: str,
    phase: str | None,
    model_id: str,
    gpus: int = 1,
    **spec: Any,
) -> dict[str, Any]:
    of: dict[str, Any] = {"model": {"id": model_id}, "resources": {"gpu": {"count": gpus}}}
    body = model_deployment(name, namespace=namespace, **(of | spec))
    if phase is not None:
        ready = int(phase == "Running")
        body["status"] = {"phase": phase, "replicas": {"desired": 1, "ready": ready, "available": ready}}
    return body


@pytest.fixture(scope="module")
async def listed_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("hub")) as world:
        chat = {"id": "meta/llama", "servedName": "Chat"}
        for body in (
            a_deployment("llama", "ml-team", "Running", "meta/llama", 4, provider={"name": "dynamo"}),
            a_deployment("llama-small", "team-b", "Failed", "", model=chat),
            a_deployment("qwen", "ml-team", None, "qwen/qwen", engine={"type": "sglang"}),
        ):
            world.east.apply(body)
        for body in (
            a_deployment("llama", "ml-team", "Deploying", "meta/llama", 2),
            a_deployment("phi", "ml-team", "Failed", "ms/phi", 0, engine={"type": "llamacpp"}),
            a_deployment("lot", "team-b", "Running", "ms/phi", engine={}),
        ):
            world.west.apply(body)
        await until_ids(world, *ALL)
        yield world


E_LLAMA, E_SMALL, E_QWEN = "east/ml-team/llama", "east/team-b/llama-small", "east/ml-team/qwen"
W_LLAMA, W_PHI, W_LOT = "west/ml-team/llama", "west/ml-team/phi", "west/team-b/lot"
ALL = (E_LLAMA, W_LLAMA, E_SMALL, W_LOT, W_PHI, E_QWEN)
"""By name, then id."""

FILTERS: Mapping[str, tuple[Mapping[str, Any], Sequence[str]]] = {
    "nothing asked": ({}, ALL),
    "nulls": ({"ids": None, "search": None, "phases": None, "unhealthy": None}, ALL),
    "ids": ({"ids": [E_QWEN, W_PHI, "north/a/b", "x"]}, [W_PHI, E_QWEN]),
    "no ids": ({"ids": []}, []),
    "search in a name": ({"search": "LLAMA-S"}, [E_SMALL]),
    "search in a namespace": ({"search": "team-B"}, [E_SMALL, W_LOT]),
    "search in an instance": ({"search": "wes"}, [W_LLAMA, W_LOT, W_PHI]),
    "search in a model": ({"search": "MS/"}, [W_LOT, W_PHI]),
    "search in a served name": ({"search": "chat"}, [E_SMALL]),
    "search for nothing": ({"search": ""}, ALL),
    "search for a pattern": ({"search": ".*"}, []),
    "instances": ({"instanceIds": ["east", "nowhere"]}, [E_LLAMA, E_SMALL, E_QWEN]),
    "no instances": ({"instanceIds": []}, []),
    "namespaces": ({"namespaces": ["team-b"]}, [E_SMALL, W_LOT]),
    "no namespaces": ({"namespaces": []}, []),
    "a part of the name": ({"name": "LAMA"}, [E_LLAMA, W_LLAMA, E_SMALL]),
    "the name alone": ({"name": "ml-team"}, []),
    "phases": ({"phases": ["PENDING", "DEPLOYING"]}, [W_LLAMA, E_QWEN]),
    "no phases": ({"phases": []}, []),
    "a model": ({"modelId": "ms/phi"}, [W_LOT, W_PHI]),
    "a part of a model": ({"modelId": "ms"}, []),
    "engines": ({"engines": ["SGLANG", "LLAMACPP"]}, [W_PHI, E_QWEN]),
    "no engines": ({"engines": []}, []),
    "providers": ({"providers": ["dynamo", "other"]}, [E_LLAMA]),
    "no providers": ({"providers": []}, []),
    "unhealthy": ({"unhealthy": True}, [E_SMALL, W_PHI]),
    "not unhealthy": ({"unhealthy": False}, [E_LLAMA, W_LLAMA, W_LOT, E_QWEN]),
    "all of it has to hold": (
        {"instanceIds": ["west"], "namespaces": ["ml-team"], "unhealthy": True, "search": "p"},
        [W_PHI],
    ),
}
LIST = """query ($filter: DeploymentFilter, $orderBy: DeploymentOrder, $first: Int, $after: String) {
  deployments(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
    totalCount nodes { id } edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


async def listing(world: World, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await world.hub.data(world.admin, LIST, variables))["deployments"]
    return found


def ids(page: Mapping[str, Any]) -> list[str]:
    return [node["id"] for node in page["nodes"]]


@pytest.mark.parametrize(("wanted", "expected"), FILTERS.values(), ids=FILTERS)
async def test_a_filter_lets_through_what_it_says(
    listed_world: World, wanted: Mapping[str, Any], expected: Sequence[str]
) -> None:
    page = await listing(listed_world, filter=wanted)
    assert ids(page) == list(expected)
    assert page["totalCount"] == len(expected)
    summary = "query ($filter: DeploymentFilter) { deploymentSummary(filter: $filter) { total } }"
    assert await listed_world.hub.data(listed_world.admin, summary, {"filter": wanted}) == {
        "deploymentSummary": {"total": len(expected)}
    }


ORDERS = {
    "NAME": ALL,
    "INSTANCE": (E_LLAMA, E_QWEN, E_SMALL, W_LLAMA, W_PHI, W_LOT),
    "NAMESPACE": (E_LLAMA, E_QWEN, W_LLAMA, W_PHI, E_SMALL, W_LOT),
    "MODEL": (E_LLAMA, E_SMALL, W_LLAMA, W_PHI, W_LOT, E_QWEN),
    "PHASE": (E_QWEN, W_LLAMA, E_LLAMA, W_LOT, E_SMALL, W_PHI),
}


@pytest.mark.parametrize("field", ORDERS)
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_an_order_and_its_pages(listed_world: World, field: str, direction: str) -> None:
    expected = list(ORDERS[field])[:: 1 if direction == "ASC" else -1]
    order = {"field": field, "direction": direction}
    assert ids(await listing(listed_world, orderBy=order)) == expected
    after: str | None = None
    for start in range(0, 6, 2):
        page = await listing(listed_world, orderBy=order, first=2, after=after)
        assert ids(page) == expected[start : start + 2]
        assert page["totalCount"] == 6
        assert [edge["node"]["id"] for edge in page["edges"]] == ids(page)
        assert page["pageInfo"] == {
            "hasNextPage": start < 4,
            "hasPreviousPage": start > 0,
            "startCursor": page["edges"][0]["cursor"],
            "endCursor": page["edges"][-1]["cursor"],
        }
        after = page["pageInfo"]["endCursor"]
    behind = await listing(listed_world, orderBy=order, after=after)
    assert (ids(behind), behind["pageInfo"]["endCursor"]) == ([], None)


async def test_created_at_orders_by_creation_then_id(listed_world: World) -> None:
    """Kubernetes' times are whole seconds, so that most of these are equal."""
    query = """query ($d: OrderDirection!) {
      deployments(orderBy: {field: CREATED_AT, direction: $d}) { nodes { id createdAt } } }"""
    for direction in ("ASC", "DESC"):
        found = (await listed_world.hub.data(listed_world.admin, query, {"d": direction}))["deployments"]
        keys = [(node["createdAt"], node["id"]) for node in found["nodes"]]
        assert keys == sorted(keys, reverse=direction == "DESC")
        assert all(created.endswith("Z") for created, _ in keys)


BAD_PAGES = {
    "none": ({"first": 0}, "first"),
    "negative": ({"first": -1}, "first"),
    "too many": ({"first": 1001}, "first"),
    "no cursor": ({"after": "no cursor"}, "after"),
    "an empty cursor": ({"after": ""}, "after"),
    "a cursor of another shape": ({"after": "WzFd"}, "after"),
    "a cursor of another order": (
        {"orderBy": {"field": "PHASE"}, "after": "WyJsbGFtYSIsICJlYXN0L21sLXRlYW0vbGxhbWEiXQ"},
        "after",
    ),
    "unicode": ({"after": "模型"}, "after"),
}


@pytest.mark.parametrize(("variables", "path"), BAD_PAGES.values(), ids=BAD_PAGES)
async def test_a_bad_page_is_refused_with_its_path(
    listed_world: World, variables: Mapping[str, Any], path: str
) -> None:
    answer = await listed_world.hub.ask(listed_world.admin, LIST, variables)
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert [field["path"] for field in error["extensions"]["fields"]] == [path]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("{ instances(first: 101) { totalCount } }", "first"),
        ("{ instances(first: 0) { totalCount } }", "first"),
        ('{ instances(after: "x") { totalCount } }', "after"),
    ],
)
async def test_instances_have_smaller_pages(listed_world: World, query: str, path: str) -> None:
    (error,) = (await listed_world.hub.ask(listed_world.admin, query))["errors"]
    assert [field["path"] for field in error["extensions"]["fields"]] == [path]


async def test_instances_in_pages_and_filtered(listed_world: World) -> None:
    query = """query ($first: Int, $after: String, $filter: InstanceFilter) {
      instances(first: $first, after: $after, filter: $filter) {
        totalCount nodes { id displayName } pageInfo { hasNextPage hasPreviousPage endCursor } } }"""

    async def page(**variables: Any) -> dict[str, Any]:
        found: dict[str, Any] = (await listed_world.hub.data(listed_world.admin, query, variables))[
            "instances"
        ]
        return found

    first = await page(first=1)
    assert (ids(first), first["totalCount"], first["pageInfo"]["hasNextPage"]) == (["east"], 2, True)
    second = await page(first=1, after=first["pageInfo"]["endCursor"])
    assert (ids(second), second["pageInfo"]["hasNextPage"]) == (["west"], False)
    assert second["pageInfo"]["hasPreviousPage"]
    assert ids(await page(filter={"search": "EAS"})) == ["east"]
    assert ids(await page(filter={"statuses": ["CONNECTED"]})) == ["east", "west"]
    assert ids(await page(filter={"statuses": ["ERROR"]})) == []
    assert ids(await page(filter={"statuses": []})) == []


async def test_a_facet_ignores_the_filter_on_its_own_field(listed_world: World) -> None:
    query = """query ($filter: DeploymentFilter) { deploymentSummary(filter: $filter) {
      total unhealthy gpus phases { phase count }
      instances { value count unhealthy gpus } namespaces { value count } models { value count } } }"""
    wanted = {
        "phases": ["FAILED"],
        "instanceIds": ["west"],
        "namespaces": ["ml-team"],
        "modelId": "ms/phi",
    }
    found = await listed_world.hub.data(listed_world.admin, query, {"filter": wanted})
    assert found["deploymentSummary"] == {
        "total": 1,
        "unhealthy": 1,
        "gpus": 0,
        "phases": [{"phase": phase, "count": int(phase == "FAILED")} for phase in PHASES],
        "instances": [{"value": "west", "count": 1, "unhealthy": 1, "gpus": 0}],
        "namespaces": [{"value": "ml-team", "count": 1}],
        "models": [{"value": "ms/phi", "count": 1}],
    }
    found = await listed_world.hub.data(listed_world.admin, query, {"filter": {"phases": ["FAILED"]}})
    assert found["deploymentSummary"] == {
        "total": 2,
        "unhealthy": 2,
        "gpus": 1,
        "phases": [
            {"phase": phase, "count": count} for phase, count in zip(PHASES, (1, 1, 2, 2, 0), strict=True)
        ],
        "instances": [
            {"value": "east", "count": 1, "unhealthy": 1, "gpus": 1},
            {"value": "west", "count": 1, "unhealthy": 1, "gpus": 0},
        ],
        "namespaces": [{"value": "ml-team", "count": 1}, {"value": "team-b", "count": 1}],
        "models": [{"value": "meta/llama", "count": 1}, {"value": "ms/phi", "count": 1}],
    }
    found = await listed_world.hub.data(listed_world.admin, query, {"filter": {"instanceIds": ["west"]}})
    assert [facet["count"] for facet in found["deploymentSummary"]["instances"]] == [3, 3]
    assert found["deploymentSummary"]["total"] == 3


# ------------------------------------------------------------------ paging while things change

orders = st.fixed_dictionaries(
    {"field": st.sampled_from([*ORDERS, "CREATED_AT"]), "direction": st.sampled_from(["ASC", "DESC"])}
)
filters = st.sampled_from([None, {}, {"namespaces": ["ml-team", "team-b"]}, {"search": "a"}, {"name": "l"}])
churn = st.lists(
    st.tuples(
        st.sampled_from(["east", "west"]),
        st.sampled_from(["ml-team", "team-b"]),
        st.sampled_from(["a", "l", "llama", "llama-", "lz", "p", "z"]),
        st.sampled_from([None, "Pending", "Running", "Failed"]),
    ),
    max_size=12,
)
"""Deployments that come, or go if they are there: some sort before, some behind, some between the steady."""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=orders, wanted=filters, size=st.integers(1, 4), changes=churn)
async def test_what_stays_is_met_exactly_once(
    listed_world: World, order: dict[str, str], wanted: Any, size: int, changes: list[Any]
) -> None:
    whole = await listing(listed_world, filter=wanted, orderBy=order)
    steady, met, after = ids(whole), [], None
    pending = list(changes)
    try:
        while True:
            now = await listing(listed_world, filter=wanted, orderBy=order, first=1000)
            page = await listing(listed_world, filter=wanted, orderBy=order, first=size, after=after)
            assert page["totalCount"] == len(ids(now))
            assert len(ids(page)) <= size
            met += ids(page)
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
            if pending:
                await turn_over(listed_world, *pending.pop())
    finally:
        await clear(listed_world)
    assert [each for each in met if each in steady] == steady
    assert len(met) == len(set(met))


async def turn_over(world: World, instance: str, namespace: str, stem: str, phase: str | None) -> None:
    """The deployment comes, or goes if it is there; until the hub shows it so."""
    cluster = {"east": world.east, "west": world.west}[instance]
    name = f"{stem}0"
    if any(each["metadata"]["name"] == name for each in cluster.objects(MODELS, namespace)):
        cluster.delete(MODELS, namespace, name)
    else:
        cluster.apply(a_deployment(name, namespace, phase, "meta/llama"))
    await shown(world)


async def clear(world: World) -> None:
    for cluster in (world.east, world.west):
        for each in cluster.objects(MODELS):
            if each["metadata"]["name"].endswith("0"):
                cluster.delete(MODELS, each["metadata"]["namespace"], each["metadata"]["name"])
    await shown(world)


async def shown(world: World) -> None:
    for cluster in (world.east, world.west):
        there = sorted(
            f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in cluster.objects(MODELS)
        )
        feed = world.hub.running.manager.feeds[cluster.name]
        await seen(feed, lambda current, there=there: sorted(names(current)) == there)  # type: ignore[misc]


# ------------------------------------------------------------------ sources

SOURCES = """query ($filter: DeploymentFilter) {
  deployments(filter: $filter) { nodes { id stale } sources { instanceId status stale syncedAt error } }
  deploymentSummary(filter: $filter) { total sources { instanceId status stale syncedAt error } } }"""


async def test_sources_say_how_far_each_instance_can_be_trusted(world: World) -> None:
    for cluster, name in ((world.east, "llama"), (world.west, "phi")):
        cluster.apply(model_deployment(name) | {"status": {"observedGeneration": 1}})
    await until_ids(world, "east/ml-team/llama", "west/ml-team/phi")
    await world.west.stop()
    viewer = await world.hub.token("viewer", Role.VIEWER)
    limited = await world.hub.token("limited", Role.VIEWER, Scope("east"))
    feed = world.hub.running.manager.feeds["west"]
    await seen(feed, lambda current: current.state.status == "DISCONNECTED")

    async def asked(token: str, **variables: Any) -> dict[str, dict[str, Any]]:
        found = await world.hub.data(token, SOURCES, variables)
        assert found["deploymentSummary"]["sources"] == found["deployments"]["sources"]
        assert found["deploymentSummary"]["total"] == len(found["deployments"]["nodes"])
        for node in found["deployments"]["nodes"]:
            assert node["stale"] is node["id"].startswith("west")
        return {source.pop("instanceId"): source for source in found["deployments"]["sources"]}

    everything = await asked(world.admin)
    assert everything["east"].pop("syncedAt") is not None
    assert everything["east"] == {"status": "CONNECTED", "stale": False, "error": None}
    away = everything["west"]
    assert (away["status"], away["stale"], away["syncedAt"] is None) == ("DISCONNECTED", True, False)
    assert "127.0.0.1" in away["error"]
    for address in ("127.0.0.1", ".kubeconfig"):
        assert address not in (await asked(viewer))["west"]["error"]
    assert (await asked(limited)).keys() == {"east"}
    assert (await asked(world.admin, filter={"instanceIds": ["west"]})).keys() == {"west"}
    assert (await asked(world.admin, filter={"instanceIds": []})).keys() == set()
