"""Which pods belong to a deployment, and that the index always says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.pods import NAME_LABELS, PodIndex, same, selected_names
from cluster.wire import Pod
from tests.support.resources import pod

LLAMA = ("ml-team", "llama")


@pytest.mark.parametrize("label", NAME_LABELS)
def test_each_selector_names_the_deployment(label: str) -> None:
    assert selected_names(pod(labels={label: "llama", "tier": "gpu"})) == {"llama"}


@pytest.mark.parametrize(
    ("cluster", "name", "belongs"),
    [
        ("llama", "llama", True),
        ("llama-raycluster-x7k2p", "llama", True),
        ("llama-raycluster", "llama", True),
        ("llama-rayclusters", "llama", True),
        ("llama2-raycluster-x7k2p", "llama", False),
        ("my-llama-raycluster-x7k2p", "llama", False),
        ("a-raycluster-b-raycluster-c", "a", True),
        ("a-raycluster-b-raycluster-c", "a-raycluster-b", True),
        ("-raycluster-x", "", False),
    ],
)
def test_ray_clusters_begin_with_the_name(cluster: str, name: str, belongs: bool) -> None:
    assert (name in selected_names(pod(labels={"ray.io/cluster": cluster}))) is belongs


def test_the_selectors_are_united() -> None:
    index = PodIndex()
    worker = pod("b-worker", labels={"kaito.sh/workspace": "llama"})
    head = pod("a-head", labels={"ray.io/cluster": "llama-raycluster-x"})
    for each in (worker, head):
        index.put(each)
    assert index.of(LLAMA) == (head, worker), "in the order of their names"


def test_app_counts_only_while_no_selector_matches() -> None:
    index = PodIndex()
    legacy = pod("legacy", labels={"app": "llama"})
    index.put(legacy)
    assert index.of(LLAMA) == (legacy,)
    modern = pod("modern")
    index.put(modern)
    assert index.of(LLAMA) == (modern,)
    index.remove(modern)
    assert index.of(LLAMA) == (legacy,)


def test_another_namespace_is_another_deployment() -> None:
    index = PodIndex()
    index.put(pod(namespace="team-b"))
    assert index.of(LLAMA) == ()
    assert len(index.of(("team-b", "llama"))) == 1


def test_an_event_touches_the_deployments_before_and_after() -> None:
    index = PodIndex()
    assert index.put(pod(labels={"kaito.sh/workspace": "llama"})) == {LLAMA}
    moved = pod(labels={"kaito.sh/workspace": "phi", "app": "phi-app"})
    assert index.put(moved) == {LLAMA, ("ml-team", "phi"), ("ml-team", "phi-app")}
    assert index.of(LLAMA) == ()
    assert index.remove(moved) == {("ml-team", "phi"), ("ml-team", "phi-app")}
    assert index.remove(moved) == set()


def test_pods_of_nobody_are_not_kept() -> None:
    index = PodIndex()
    assert index.put(pod(labels={"k8s-app": "kube-dns"})) == set()
    assert list(index.within(None)) == []


def test_a_new_version_that_tells_the_same() -> None:
    assert same(pod(version=1), pod(version=2))
    assert not same(pod(), pod(uid="another"))
    assert not same(pod(ready=True), pod(ready=False))
    assert not same(pod(restarts=0), pod(restarts=1))


labels = st.dictionaries(
    st.sampled_from([*NAME_LABELS[:2], "ray.io/cluster", "app"]),
    st.sampled_from(["x", "y", "x-raycluster-1"]),
)
pods = st.builds(lambda name, marks: pod(name, labels=marks), st.sampled_from(["p1", "p2", "p3"]), labels)


@given(st.lists(st.tuples(pods, st.booleans())))
def test_the_index_says_what_a_search_through_all_pods_says(events: list[tuple[Pod, bool]]) -> None:
    index, known = PodIndex(), dict[str, Pod]()
    for each, gone in events:
        if gone:
            index.remove(each)
            known.pop(each.metadata.name, None)
        else:
            index.put(each)
            known[each.metadata.name] = each
    for name in ("x", "y"):
        matched = [each for each in known.values() if name in selected_names(each)]
        matched = matched or [each for each in known.values() if each.metadata.labels.get("app") == name]
        assert list(index.of(("ml-team", name))) == sorted(matched, key=lambda each: each.metadata.name)
