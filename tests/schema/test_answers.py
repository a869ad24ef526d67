"""Compiled queries with kept fragments give byte for byte what the stock executor gives, to everybody."""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
import pytest
from graphql import GraphQLObjectType
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from auth.identity import Identity
from auth.permissions import Role
from schema.answers import Answer, Answers
from schema.build import build_schema
from schema.documents import Documents
from schema.execution import Chosen, answer, chosen, payload
from schema.fragments import GENERATION, Fragments
from schema.limits import Limits
from schema.messages import Operation
from tests.support.contexts import a_context, a_model, a_varied_fleet, some_services
from tests.support.identities import a_grant, an_identity
from tests.support.selections import ARGUMENTS, HEAD, selections
from tests.support.stores import StoresFleet, set_live

SCHEMA = build_schema()
LIMITS = Limits(cost=10**9, fields=10**6, tokens=10**6, length=10**6, aliases=10**4, directives=10**4)
DOCUMENTS = Documents(SCHEMA, LIMITS)
QUERY = SCHEMA._schema.type_map["Query"]
assert isinstance(QUERY, GraphQLObjectType)
FROM_MEMORY = (
    "hub", "instances", "instance", "deployments", "deployment", "deploymentSummary", "credentialProblems"
)  # fmt: skip
"""What needs no database. People need one, and are executed."""
ROOTS = GraphQLObjectType("Query", {name: QUERY.fields[name] for name in FROM_MEMORY})

PEOPLE: Mapping[str, Identity | None] = {
    "admin": an_identity(a_grant(Role.ADMIN)),
    "deployer there": an_identity(a_grant(Role.DEPLOYER, "east", ("ml-team",))),
    "viewer": an_identity(a_grant(Role.VIEWER)),
    "viewer elsewhere": an_identity(a_grant(Role.VIEWER, "west", ("other",))),
    "nobody": None,
}


class Setting:
    """Stores that change, and the answers over them."""

    def __init__(self) -> None:
        self.fleet = a_varied_fleet()
        self.services = some_services(self.fleet)
        self.fragments = Fragments()
        self.answers = Answers(SCHEMA, fragments=self.fragments, limits=LIMITS)

    async def both(self, operation: Operation, identity: Identity | None) -> tuple[Answer, bytes]:
        """Ours, and the stock executor's."""
        asked = chosen(DOCUMENTS.check(operation.query), operation)
        assert isinstance(asked, Chosen), (operation.query, asked)
        context = a_context(self.services, identity)
        ours = await self.answers.answer(asked, operation, context)
        stock = await answer(schema=SCHEMA, document=asked.document, operation=operation, context=context)
        return ours, msgspec.json.encode(payload(stock, "request"))

    async def close(self) -> None:
        await self.services.scans.close()
        await self.services.pages.close()


_TIMES = re.compile(rb'(?<="observedAt)([^"]*":"[^"]+)')
"""A summary is of the moment at which it is asked for."""

Change = Callable[[StoresFleet], None]


def nothing(_: StoresFleet) -> None: ...


def another_version(fleet: StoresFleet) -> None:
    (known, *_) = fleet.stores["east"].by_name("ml-team")
    metadata = replace(
        known.resource.metadata, resource_version=f"{known.resource.metadata.resource_version}0"
    )
    changed = replace(known.resource, metadata=metadata, status=replace(known.resource.status, message="new"))
    fleet.stores["east"].apply_deployment(changed, api_group=known.api_group)


def one_more(fleet: StoresFleet) -> None:
    fleet.stores["west"].apply_deployment(a_model(2, namespace="other"), api_group="airunway.ai")


def one_less(fleet: StoresFleet) -> None:
    fleet.stores["west"].clear_deployments()


def west_is_live(fleet: StoresFleet) -> None:
    set_live(fleet.stores["west"], live=True)


def east_is_away(fleet: StoresFleet) -> None:
    set_live(fleet.stores["east"], live=False)


CHANGES: list[Change] = [nothing, another_version, one_more, one_less, west_is_live, east_is_away]
FIELDS = {
    **ARGUMENTS,
    "deployments": "(first: $first, filter: $filter)",
    "deployment": '(instanceId: "east", namespace: "ml-team", name: "bare")',
    "instance": "(id: $instance)",
}


@st.composite
def documents(draw: st.DrawFn) -> str:
    fragments: list[str] = []
    body = draw(selections(ROOTS, fragments, arguments=FIELDS))
    used = """
      yes: __typename @include(if: $yes)
      used: instance(id: $instance) { namespaces(permission: $permission) }
      page: deployments(first: $first, filter: $filter) { totalCount }"""
    variables = HEAD.rstrip(")") + ", $first: Int!, $instance: ID!, $filter: DeploymentFilter)"
    return f"query {variables} {{ {used} ...All }} " + " ".join([f"fragment All on Query {body}", *fragments])


@settings(deadline=None)  # the first example compiles what later ones find compiled
@given(
    query=documents(),
    yes=st.booleans(),
    first=st.sampled_from([1, 2, 1000]),
    search=st.sampled_from([None, {"name": "bare"}, {"namespaces": ["ml-team"]}]),
    changes=st.lists(st.sampled_from(CHANGES), max_size=2),
    people=st.permutations(list(PEOPLE)),
)
async def test_the_same_bytes_for_random_documents(
    query: str,
    yes: bool,
    first: int,
    search: Mapping[str, Any] | None,
    changes: list[Change],
    people: list[str],
) -> None:
    if isinstance(DOCUMENTS.check(query), tuple):
        return  # two fields of one name that can't be merged: nothing to compare
    setting = Setting()
    variables = {
        "yes": yes, "permission": "MANAGE_DEPLOYMENTS", "first": first, "instance": "east", "filter": search
    }  # fmt: skip
    for change in [nothing, *changes]:
        change(setting.fleet)
        for person in people[:3]:
            ours, stock = await setting.both(Operation(query, variables), PEOPLE[person])
            assert _TIMES.sub(b"", ours.body) == _TIMES.sub(b"", stock)
    await setting.close()


LIST = """query ($first: Int!) { deployments(first: $first) { totalCount nodes {
  id name phase message stale viewerCan replicas { ready } pods { name } } } }"""
WITH_OWNER = "{ deployments { nodes { id instance { status deploymentCount endpoint } name } } }"


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    setting = Setting()
    yield setting
    await setting.close()


async def ask(setting: Setting, query: str, person: str = "admin", **variables: Any) -> Any:
    """The data, which is what the stock executor gives too."""
    ours, stock = await setting.both(Operation(query, variables), PEOPLE[person])
    assert ours.body == stock
    return json.loads(ours.body)["data"]


async def test_each_version_is_encoded_once(setting: Setting) -> None:
    before = await ask(setting, LIST, first=10)
    assert setting.fragments.made == 3
    assert await ask(setting, LIST, first=10) == before
    # Another page, and another document that selects the same of a deployment.
    await ask(setting, LIST, first=2)
    await ask(setting, LIST.replace("totalCount", "pageInfo { endCursor }"), first=10)
    assert setting.fragments.made == 3
    another_version(setting.fleet)
    assert await ask(setting, LIST, first=10) != before
    assert setting.fragments.made == 4


async def test_nothing_is_kept_for_people_with_other_rights(setting: Setting) -> None:
    shown = {person: await ask(setting, LIST, person, first=10) for person in ("admin", "viewer")}
    assert setting.fragments.made == 6
    own = await ask(setting, LIST, "deployer there", first=10)
    assert setting.fragments.made == 8
    assert shown["admin"] != shown["viewer"]
    assert {node["id"] for node in own["deployments"]["nodes"]} == {
        "east/ml-team/bare", "east/ml-team/llama-3-1-8b-instruct-00001"
    }  # fmt: skip


async def test_what_lasts_only_while_an_instance_is_live_is_told_anew(setting: Setting) -> None:
    def stale(data: Any) -> list[str]:
        return [node["id"] for node in data["deployments"]["nodes"] if node["stale"]]

    query = "{ deployments { nodes { id stale } } }"
    assert stale(await ask(setting, query)) == ["west/ml-team/llama-3-1-8b-instruct-00001"]
    west_is_live(setting.fleet)
    assert stale(await ask(setting, query)) == []
    east_is_away(setting.fleet)
    assert len(stale(await ask(setting, query))) == 2


async def test_a_field_that_does_not_last_is_asked_for_each_time(setting: Setting) -> None:
    before = await ask(setting, WITH_OWNER)
    assert setting.fragments.made == 3
    one_more(setting.fleet)
    west_is_live(setting.fleet)
    after = await ask(setting, WITH_OWNER)
    owners = [
        {node["id"]: node["instance"] for node in each["deployments"]["nodes"]} for each in (before, after)
    ]
    at = "west/ml-team/llama-3-1-8b-instruct-00001"
    assert [owner[at]["deploymentCount"] for owner in owners] == [1, 2]
    assert [owner[at]["status"] for owner in owners] == ["DISCONNECTED", "CONNECTED"]
    assert setting.fragments.made == 4  # the one more; the others' fragments are the same


@pytest.mark.parametrize("query", [
    '{ node(id: "east/ml-team/bare") { id ... on Deployment { phase } } }',
    "{ credentialProblems { fileName } hub { mode } }",
    '{ deployment(instanceId: "east", namespace: "../x", name: "y") { id } hub { mode } }',
    '{ deployments(after: "nonsense") { totalCount } }',
    "{ __type(name: \"Query\") { name } hub { mode } }",
    "query ($first: Int!) { deployments(first: $first) { totalCount } }",
])  # fmt: skip
@pytest.mark.parametrize("person", ["admin", "viewer", "nobody"])
async def test_what_cannot_be_compiled_is_executed(setting: Setting, query: str, person: str) -> None:
    for _ in range(2):
        ours, stock = await setting.both(Operation(query), PEOPLE[person])
        assert ours.body == stock


async def test_what_is_kept_is_bounded(setting: Setting) -> None:
    east = setting.fleet.stores["east"]
    models = [a_model(number) for number in range(3 * GENERATION)]
    east.replace_deployments(models, scope=None, api_group="airunway.ai")
    query = """query ($after: String) { deployments(first: 1000, after: $after) {
      nodes { id } pageInfo { endCursor } } }"""
    seen, after = 0, None
    while nodes := (data := await ask(setting, query, after=after))["deployments"]["nodes"]:
        seen, after = seen + len(nodes), data["deployments"]["pageInfo"]["endCursor"]
        assert len(setting.fragments) <= 2 * GENERATION + 1000
    assert seen == 3 * GENERATION + 1


async def test_the_least_recently_asked_selections_go_first(setting: Setting) -> None:
    models = [a_model(number) for number in range(GENERATION)]
    setting.fleet.stores["east"].replace_deployments(models, scope=None, api_group="airunway.ai")
    fragments = Fragments(most=GENERATION)
    answers = Answers(SCHEMA, fragments=fragments, limits=LIMITS)
    for fields in ("id", "name", "id name", "phase"):
        operation = Operation(f"{{ deployments(first: 1000) {{ nodes {{ {fields} }} }} }}")
        asked = chosen(DOCUMENTS.check(operation.query), operation)
        assert isinstance(asked, Chosen)
        await answers.answer(asked, operation, a_context(setting.services, PEOPLE["admin"]))
        assert len(fragments) <= 3 * GENERATION


async def test_the_cost_is_told_on_request(setting: Setting) -> None:
    told, _ = await setting.both(Operation(LIST, {"first": 10}, extensions={"cost": True}), PEOPLE["admin"])
    cost = json.loads(told.body)["extensions"]["cost"]
    assert cost == {"requested": cost["requested"], "limit": LIMITS.cost}
