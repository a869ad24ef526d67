"""Sharing changes what objects weigh and nothing that anybody can read."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import objects
from cluster.sharing import MAX_VALUES, Sharing
from cluster.wire import Condition, ModelDeployment, ModelDeploymentStatus, Pod
from tests.support.resources import pod


def decoded(number: int) -> ModelDeployment:
    raw: dict[str, Any] = objects.deployment(number=number, namespace="ml-team")
    return msgspec.json.decode(json.dumps(raw), type=ModelDeployment)


def test_equal_parts_of_different_objects_are_one() -> None:
    sharing = Sharing()
    one, other = sharing.deployment(decoded(1)), sharing.deployment(decoded(2))
    assert one != other
    assert one.spec.engine is other.spec.engine
    assert one.status.conditions[3].message is other.status.conditions[3].message
    assert one.metadata.namespace is other.metadata.namespace


texts = st.text(max_size=3) | st.none()
conditions = st.builds(
    Condition,
    type=st.text(max_size=3),
    reason=texts,
    message=texts,
    last_transition_time=st.datetimes() | st.none(),
)
resources = st.builds(
    ModelDeployment,
    status=st.builds(
        ModelDeploymentStatus,
        phase=texts,
        message=texts,
        conditions=st.lists(conditions, max_size=4).map(tuple),
    ),
)


@given(st.lists(resources, max_size=5))
def test_what_is_shared_equals_what_came(some: list[ModelDeployment]) -> None:
    sharing = Sharing()
    assert [sharing.deployment(each) for each in some] == some


def test_pods_too() -> None:
    sharing = Sharing()
    pods = [pod("a", waiting="ErrImagePull"), pod("b", ready=True, restarts=3)]
    shared: list[Pod] = [sharing.pod(each) for each in pods]
    assert shared == pods
    assert shared[0].spec is shared[1].spec


def test_values_that_nobody_shares_do_not_pile_up() -> None:
    sharing = Sharing()
    first = sharing.deployment(decoded(1))
    assert sharing.deployment(decoded(1)).spec.engine is first.spec.engine
    for number in range(MAX_VALUES):
        sharing.deployment(ModelDeployment(status=ModelDeploymentStatus(message=f"unique {number}")))
    again = sharing.deployment(decoded(1))
    assert again == first
    assert again.spec.engine is not first.spec.engine, "forgotten with the rest"
