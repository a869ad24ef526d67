"""The compiled selection gives byte for byte what the executor gives."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from graphql import ExecutionResult, Executor, GraphQLObjectType, execute_subscription_event, get_named_type
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.permissions import Role
from benchmarks.objects import deployment, pod
from cluster.wire import ModelDeployment, Pod
from resolvers.instances import Registry
from resolvers.scans import Scans
from resolvers.services import Services
from resolvers.streams import DeploymentEvent, EventType
from schema.build import build_schema
from schema.context import Context
from schema.documents import Documents
from schema.execution import payload
from schema.fragments import Fragments
from schema.hub import Hub
from schema.messages import Operation
from schema.questions import Question
from schema.words import HubMode
from tests.support.identities import a_grant, an_identity
from tests.support.stores import StoresFleet, set_live

NOW = datetime(2026, 11, 3, tzinfo=UTC)
SCHEMA = build_schema()
DOCUMENTS = Documents(SCHEMA)
FRAGMENTS = Fragments()
EVENT = SCHEMA._schema.type_map["DeploymentEvent"]
assert isinstance(EVENT, GraphQLObjectType)


def a_fleet() -> StoresFleet:
    """One live instance with a deployment that has everything, one that is bare, and a stale instance."""
    fleet = StoresFleet()
    east, west = fleet.add("east"), fleet.add("west")
    full = msgspec.convert(deployment(number=1, namespace="ml-team"), ModelDeployment)
    metadata = {"name": "bare", "namespace": "ml-team", "creationTimestamp": "2026-11-02T08:00:00Z"}
    bare = msgspec.convert({"metadata": metadata}, ModelDeployment)
    served = pod(number=1, namespace="ml-team")
    east.replace_pods([msgspec.convert(served, Pod)], scope=None)
    east.replace_deployments([full, bare], scope=None, api_group="airunway.ai")
    west.apply_deployment(full, api_group="kubeairunway.ai")
    set_live(west, live=False)
    return fleet


FLEET = a_fleet()
MESSAGES = [
    *(
        DeploymentEvent(EventType.ADDED, each.instance_id, each.id, each, each.observed_at)
        for store in FLEET.stores.values()
        for each in store.by_name("ml-team")
    ),
    DeploymentEvent(EventType.SYNCED, "east", None, None, NOW),
    DeploymentEvent(EventType.DELETED, "gone", "gone/ml-team/x", None, NOW),
]


def a_question(query: str, variables: dict[str, Any], *, role: Role) -> Question:
    document = DOCUMENTS.check(query)
    assert not isinstance(document, tuple), (query, document)
    context = Context(
        services=Services(
            fleet=FLEET,
            registry=Registry(),
            scans=Scans(FLEET),
            pages=Scans(FLEET),
            administrators=frozenset(),
        ),
        hub=Hub(version="test", mode=HubMode.HUB, auth_providers=[]),
        identity=an_identity(a_grant(role)),
        request_id="request",
        introspection=None,
        wake=lambda: None,
    )
    return Question(SCHEMA, document.node, Operation(query, variables), context, FRAGMENTS)


def executed(question: Question, message: DeploymentEvent) -> bytes:
    assert isinstance(question.executor, Executor)
    result = execute_subscription_event(question.executor.build_per_event_executor(message))
    assert isinstance(result, ExecutionResult)
    return msgspec.json.encode(payload(result, "request"))


@st.composite
def selections(draw: st.DrawFn, kind: GraphQLObjectType, fragments: list[str], depth: int = 4) -> str:
    """A random selection set on the type, which may add named fragments to the list."""
    parts = []
    for name in draw(st.lists(st.sampled_from(sorted(kind.fields)), min_size=1, max_size=6)):
        inner = get_named_type(kind.fields[name].type)
        body = ""
        if isinstance(inner, GraphQLObjectType):
            if not depth:
                continue
            body = draw(selections(inner, fragments, depth - 1))
        alias = draw(st.sampled_from(["", "", f"{name}_{len(fragments)}_{depth}_{len(body)}: "]))
        condition = draw(st.sampled_from(["", "", " @include(if: $yes)", " @skip(if: $yes)"]))
        parts.append(f"{alias}{name}{_arguments(name)}{condition} {body}")
    if draw(st.booleans()):
        parts.append("__typename")
    text = " ".join(parts) or "__typename"
    match draw(st.sampled_from(["plain", "plain", "inline", "named"])):
        case "inline":
            text = f"__typename ... on {kind.name} {{ {text} }}"
        case "named":
            fragments.append(f"fragment F{len(fragments)} on {kind.name} {{ {text} }}")
            text = f"__typename ...F{len(fragments) - 1}"
    return f"{{ {text} }}"


def _arguments(field: str) -> str:
    return {"namespaces": "(permission: $permission)"}.get(field, "")


@st.composite
def documents(draw: st.DrawFn) -> str:
    fragments: list[str] = []
    assert isinstance(EVENT, GraphQLObjectType)
    body = draw(selections(EVENT, fragments))
    # The variables have to be used somewhere, whatever was drawn.
    used = (
        "yes: __typename @include(if: $yes) deployment { instance { namespaces(permission: $permission) } }"
    )
    head = "subscription ($yes: Boolean!, $permission: Permission!) "
    return f"{head} {{ deploymentEvents {{ {used} ...All }} }} " + " ".join(
        [f"fragment All on DeploymentEvent {body}", *fragments]
    )


@settings(deadline=None)  # the first example compiles what later ones find compiled
@given(query=documents(), yes=st.booleans(), role=st.sampled_from(list(Role)))
async def test_the_same_bytes_for_random_selections(query: str, yes: bool, role: Role) -> None:
    if isinstance(DOCUMENTS.check(query), tuple):
        return  # two fields of one name that can't be merged: nothing to compare
    variables = {"yes": yes, "permission": "MANAGE_DEPLOYMENTS"}
    question = a_question(query, variables, role=role)
    for message in MESSAGES:
        assert await question.payload(message) == executed(question, message)


EVERYTHING = """subscription { deploymentEvents {
  type instanceId deploymentId observedAt
  deployment { id namespace name uid modelId phase stale engine mode gpuCount createdAt viewerCan
    replicas { desired ready available } conditions { type status lastTransitionTime } labels { key value }
    endpoint { url modelName } pods { name phase ready containers { name state restartCount } }
    instance { id status endpoint credential { context } deploymentCount namespaces } }
} }"""


@pytest.mark.parametrize("role", list(Role))
async def test_guarded_fields_are_compiled_too(role: Role) -> None:
    question = a_question(EVERYTHING, {}, role=role)
    for message in MESSAGES:
        answer = await question.payload(message)
        assert answer == executed(question, message)
        assert "errors" not in json.loads(answer)


async def test_a_failure_is_told_as_the_executor_tells_it() -> None:
    broken = DeploymentEvent(EventType.ADDED, None, None, None, NOW)  # type: ignore[arg-type]
    question = a_question("subscription { deploymentEvents { type instanceId } }", {}, role=Role.ADMIN)
    answer = await question.payload(broken)
    assert answer == executed(question, broken)
    assert json.loads(answer)["errors"][0]["path"] == ["deploymentEvents", "instanceId"]
