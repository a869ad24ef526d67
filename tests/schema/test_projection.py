"""The compiled selection gives byte for byte what the executor gives."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from graphql import ExecutionResult, Executor, GraphQLObjectType, execute_subscription_event
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.permissions import Role
from resolvers.streams import DeploymentEvent, EventType
from schema.build import build_schema
from schema.documents import Documents
from schema.execution import payload
from schema.fragments import Fragments
from schema.messages import Operation
from schema.questions import Question
from tests.support.contexts import a_context, a_varied_fleet, some_services
from tests.support.identities import a_grant, an_identity
from tests.support.selections import HEAD, selections

NOW = datetime(2026, 11, 3, tzinfo=UTC)
SCHEMA = build_schema()
DOCUMENTS = Documents(SCHEMA)
FRAGMENTS = Fragments()
EVENT = SCHEMA._schema.type_map["DeploymentEvent"]
assert isinstance(EVENT, GraphQLObjectType)


FLEET = a_varied_fleet()
SERVICES = some_services(FLEET)
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
    context = a_context(SERVICES, an_identity(a_grant(role)))
    return Question(SCHEMA, document.node, Operation(query, variables), context, FRAGMENTS)


def executed(question: Question, message: DeploymentEvent) -> bytes:
    assert isinstance(question.executor, Executor)
    result = execute_subscription_event(question.executor.build_per_event_executor(message))
    assert isinstance(result, ExecutionResult)
    return msgspec.json.encode(payload(result, "request"))


@st.composite
def documents(draw: st.DrawFn) -> str:
    fragments: list[str] = []
    assert isinstance(EVENT, GraphQLObjectType)
    body = draw(selections(EVENT, fragments))
    # The variables have to be used somewhere, whatever was drawn.
    used = (
        "yes: __typename @include(if: $yes) deployment { instance { namespaces(permission: $permission) } }"
    )
    return f"subscription {HEAD} {{ deploymentEvents {{ {used} ...All }} }} " + " ".join(
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
