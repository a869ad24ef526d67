"""The store: what its readers see after what its writer was told."""

from collections.abc import Sequence

import msgspec
import pytest

from cluster.feed import InstanceFeed
from cluster.store import Store
from cluster.types import Deployment, InstanceStatus, Phase
from cluster.wire import ModelDeployment, Pod
from tests.support.resources import deployment, pod

GROUP = "airunway.ai"


class Watcher:
    """A reader that is woken, and then sees what changed since it last looked."""

    def __init__(self, feed: InstanceFeed) -> None:
        self.feed = feed
        self.position = feed.head
        self.woken = 0
        self.unsubscribe = feed.subscribe(self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def news(self) -> list[tuple[str, bool]]:
        """Names with whether they were deleted, and wakes forgotten."""
        changes = self.feed.changes(self.position)
        self.position, self.woken = self.feed.head, 0
        return [(change.name, change.deleted) for change in changes]


@pytest.fixture
def store() -> Store:
    return Store("prod")


@pytest.fixture
def watcher(store: Store) -> Watcher:
    return Watcher(store)


def relist(store: Store, *resources: ModelDeployment, scope: str | None = None, group: str = GROUP) -> None:
    store.replace_deployments(resources, scope=scope, api_group=group)


def shown(store: Store, name: str = "llama", namespace: str = "ml-team") -> Deployment:
    found = store.get(namespace, name)
    assert found is not None
    return found


def names(deployments: Sequence[Deployment]) -> list[str]:
    return [each.name for each in deployments]


# ---------------------------------------------------------------- lists and events


def test_a_relist_tells_what_was_missed_and_wakes_once(store: Store, watcher: Watcher) -> None:
    relist(store, deployment("a"), deployment("b"), deployment("c"))
    assert watcher.woken == 1
    assert watcher.news() == [("a", False), ("b", False), ("c", False)]
    relist(store, deployment("a"), deployment("b", version=2), deployment("d"))
    assert watcher.woken == 1
    assert watcher.news() == [("b", False), ("d", False), ("c", True)]
    assert names(list(store.by_name("ml-team"))) == ["a", "b", "d"]


def test_a_relist_of_what_is_known_says_nothing(store: Store, watcher: Watcher) -> None:
    relist(store, deployment("a"), deployment("b"))
    watcher.news()
    relist(store, deployment("a"), deployment("b"))
    assert watcher.woken == 0
    assert watcher.news() == []


def test_a_new_object_under_the_name_is_one_change_with_its_uid(store: Store, watcher: Watcher) -> None:
    relist(store, deployment(uid="old", version=9))
    watcher.news()
    relist(store, deployment(uid="new", version=3))
    assert watcher.news() == [("llama", False)]
    assert shown(store).uid == "new"


def test_events_come_change_and_go(store: Store, watcher: Watcher) -> None:
    store.apply_deployment(deployment(version=1), api_group=GROUP)
    store.apply_deployment(deployment(version=2, phase="Running", replicas=(1, 1)), api_group=GROUP)
    assert watcher.news() == [("llama", False)]
    assert shown(store).phase is Phase.RUNNING
    store.remove_deployment(deployment(version=3))
    assert watcher.news() == [("llama", True)]
    assert store.get("ml-team", "llama") is None
    assert store.changes(0)[-1].deployment.phase is Phase.RUNNING, "its last state"


def test_older_events_are_ignored(store: Store) -> None:
    store.apply_deployment(deployment(version=10), api_group=GROUP)
    store.apply_deployment(deployment(version=9, phase="Failed"), api_group=GROUP)
    assert shown(store).resource.metadata.resource_version == "10"


def test_versions_that_are_no_numbers_have_no_order(store: Store) -> None:
    store.apply_deployment(deployment(version="b"), api_group=GROUP)
    store.apply_deployment(deployment(version="a"), api_group=GROUP)
    assert shown(store).resource.metadata.resource_version == "a"


def test_a_list_is_the_truth_even_where_versions_went_back(store: Store) -> None:
    relist(store, deployment(version=10))
    relist(store, deployment(version=4, phase="Failed"))
    assert shown(store).phase is Phase.FAILED


def test_the_deletion_of_a_former_object_leaves_the_new_one(store: Store) -> None:
    relist(store, deployment(uid="new"))
    store.remove_deployment(deployment(uid="old", version=99))
    assert shown(store).uid == "new"
    store.remove_deployment(deployment("never-seen"))


def test_a_scope_is_all_that_a_list_speaks_for(store: Store, watcher: Watcher) -> None:
    relist(store, deployment("a", namespace="one"), scope="one")
    relist(store, deployment("b", namespace="two"), scope="two")
    relist(store, scope="one")
    assert watcher.news() == [("b", False), ("a", True)]
    store.clear_deployments(scope="two")
    assert watcher.news() == [("b", True)]
    assert list(store.namespaces()) == []


def test_without_its_crd_everything_is_gone(store: Store, watcher: Watcher) -> None:
    relist(store, deployment("a", namespace="one"), deployment("b", namespace="two"))
    watcher.news()
    store.clear_deployments()
    assert watcher.woken == 1
    assert watcher.news() == [("a", True), ("b", True)]


def test_a_newer_api_group_is_a_change(store: Store, watcher: Watcher) -> None:
    relist(store, deployment(), group="kubeairunway.ai")
    watcher.news()
    relist(store, deployment(), group=GROUP)
    assert watcher.news() == [("llama", False)]
    assert shown(store).api_group == GROUP


def test_what_is_cached_equals_what_came(store: Store) -> None:
    resources = [deployment(f"m{number}", phase="Running", replicas=(1, 1)) for number in range(3000)]
    relist(store, *resources)
    assert [each.resource for each in store.by_name("ml-team")] == sorted(
        resources, key=lambda each: each.metadata.name
    )


# ---------------------------------------------------------------- pods


def test_pods_are_joined_whichever_comes_first(store: Store) -> None:
    store.replace_pods([pod("llama-0", ready=True)], scope=None)
    relist(store, deployment(replicas=(1, 1)))
    assert shown(store).phase is Phase.RUNNING
    assert [each.metadata.name for each in shown(store).pods or ()] == ["llama-0"]


def test_a_late_pod_changes_the_phase_of_its_deployment_alone(store: Store, watcher: Watcher) -> None:
    store.replace_pods([], scope=None)
    relist(store, deployment(), deployment("phi"))
    watcher.news()
    store.apply_pod(pod(phase="Pending", node=None))
    store.apply_pod(pod(version=2, waiting="ImagePullBackOff"))
    assert watcher.news() == [("llama", False)]
    assert shown(store).phase is Phase.FAILED
    assert shown(store, "phi").phase is Phase.PENDING


def test_a_pod_that_tells_nothing_new_is_no_change(store: Store, watcher: Watcher) -> None:
    store.replace_pods([pod()], scope=None)
    relist(store, deployment())
    watcher.news()
    store.apply_pod(pod(version=2))
    store.apply_pod(pod("stranger", labels={"app": "nginx"}))
    store.replace_pods([pod(version=3), pod("stranger", labels={"app": "nginx"})], scope=None)
    assert watcher.woken == 0
    assert watcher.news() == []


def test_a_pod_goes(store: Store, watcher: Watcher) -> None:
    store.replace_pods([pod()], scope=None)
    relist(store, deployment())
    watcher.news()
    store.remove_pod(pod(uid="former"))
    assert watcher.news() == []
    store.remove_pod(pod(version=2))
    assert watcher.news() == [("llama", False)]
    assert shown(store).pods == ()


def test_a_list_of_pods_tells_what_was_missed(store: Store, watcher: Watcher) -> None:
    relist(store, deployment(), deployment("phi"))
    phis = pod("phi-0", labels={"kaito.sh/workspace": "phi"})
    store.replace_pods([pod(), phis], scope=None)
    watcher.news()
    store.replace_pods([phis], scope=None)
    assert watcher.woken == 1
    assert watcher.news() == [("llama", False)]


def test_older_events_of_pods_are_ignored(store: Store) -> None:
    store.replace_pods([pod(version=10, phase="Running")], scope=None)
    relist(store, deployment())
    store.apply_pod(pod(version=9, phase="Failed"))
    assert shown(store).phase is Phase.DEPLOYING


def test_until_pods_are_read_they_are_unknown_not_absent(store: Store) -> None:
    relist(store, deployment(phase="Running", replicas=(1, 1)))
    assert shown(store).pods is None
    store.replace_pods([], scope=None)
    assert shown(store).pods == ()


def test_unreadable_pods_leave_what_is_reported(store: Store, watcher: Watcher) -> None:
    store.replace_pods([pod(waiting="CrashLoopBackOff")], scope=None)
    relist(store, deployment(phase="Deploying"))
    assert shown(store).phase is Phase.FAILED
    watcher.news()
    store.pods_unreadable(scope=None)
    assert watcher.news() == [("llama", False)]
    assert (shown(store).pods, shown(store).phase) == (None, Phase.DEPLOYING)
    store.pods_unreadable(scope=None)
    assert watcher.news() == []


def test_pods_of_one_namespace_may_be_readable_and_of_another_not(store: Store) -> None:
    store.replace_pods([pod(namespace="one")], scope="one")
    store.pods_unreadable(scope="two")
    relist(store, deployment(namespace="one"), scope="one")
    relist(store, deployment(namespace="two"), scope="two")
    assert shown(store, namespace="one").phase is Phase.DEPLOYING
    assert shown(store, namespace="two").pods is None
    store.replace_pods([], scope="two")
    assert len(shown(store, namespace="one").pods or ()) == 1
    assert shown(store, namespace="two").pods == ()


def test_pods_stay_known_while_a_credential_narrows_to_their_namespace(
    store: Store, watcher: Watcher
) -> None:
    store.replace_pods([pod(namespace=each) for each in ("one", "two")], scope=None)
    for namespace in ("one", "two"):
        relist(store, deployment(namespace=namespace), scope=namespace)
    watcher.news()
    store.pods_unreadable(scope=None, but=["one"])
    store.replace_pods([pod(namespace="one")], scope="one")
    assert shown(store, namespace="one").phase is Phase.DEPLOYING
    assert shown(store, namespace="two").pods is None
    assert len(watcher.news()) == 1
    store.pods_unreadable(scope=None)
    assert shown(store, namespace="one").pods is None


# ---------------------------------------------------------------- what readers ask


def test_pages_by_name_in_both_directions(store: Store) -> None:
    relist(store, *(deployment(name) for name in ("delta", "alpha", "charlie", "bravo")))
    assert names(list(store.by_name("ml-team"))) == ["alpha", "bravo", "charlie", "delta"]
    assert names(list(store.by_name("ml-team", "bravo"))) == ["charlie", "delta"]
    assert names(list(store.by_name("ml-team", "bz"))) == ["charlie", "delta"]
    assert names(list(store.by_name_descending("ml-team"))) == ["delta", "charlie", "bravo", "alpha"]
    assert names(list(store.by_name_descending("ml-team", "charlie"))) == ["bravo", "alpha"]
    assert names(list(store.by_name("nowhere"))) == []
    assert names(list(store.by_name_descending("nowhere"))) == []


def test_counts_follow_every_change(store: Store) -> None:
    relist(store, deployment("a"), deployment("b"), deployment("c", namespace="other"))
    assert store.counts("ml-team")[Phase.PENDING] == 2
    store.apply_deployment(deployment("a", version=2, phase="Failed"), api_group=GROUP)
    store.remove_deployment(deployment("b"))
    assert {phase: count for phase, count in store.counts("ml-team").items() if count} == {Phase.FAILED: 1}
    assert sum(store.counts("nowhere").values()) == 0


def test_namespaces_with_deployments_and_those_that_exist(store: Store, watcher: Watcher) -> None:
    relist(store, deployment(namespace="b"), deployment(namespace="a"))
    assert list(store.namespaces()) == ["a", "b"]
    assert store.known_namespaces() is None
    watcher.news()
    store.set_namespaces({"b", "a", "empty"})
    store.set_namespaces(["empty", "b", "a"])
    assert watcher.woken == 1
    assert list(store.known_namespaces() or ()) == ["a", "b", "empty"]


def test_the_state_wakes_where_it_changes(store: Store, watcher: Watcher) -> None:
    assert store.state.status is InstanceStatus.CONNECTING
    live = msgspec.structs.replace(store.state, status=InstanceStatus.CONNECTED, live=True)
    store.set_state(live)
    store.set_state(msgspec.structs.replace(live))
    assert watcher.woken == 1
    assert store.state == live


def test_a_batch_wakes_once_and_an_unsubscribed_reader_never(store: Store, watcher: Watcher) -> None:
    with store.batch():
        store.apply_deployment(deployment("a"), api_group=GROUP)
        store.apply_deployment(deployment("b"), api_group=GROUP)
        assert watcher.woken == 0
    assert watcher.woken == 1
    watcher.unsubscribe()
    watcher.unsubscribe()
    store.clear_deployments()
    assert watcher.woken == 1


def test_a_reader_may_leave_while_it_is_woken(store: Store, watcher: Watcher) -> None:
    leave = store.subscribe(lambda: leave())
    store.apply_deployment(deployment(), api_group=GROUP)
    store.clear_deployments()
    assert watcher.woken == 2


def test_each_store_has_an_epoch_of_its_own(store: Store) -> None:
    assert store.epoch != Store("prod").epoch
    assert store.instance_id == "prod"


def test_pods_that_look_alike_stay_apart(store: Store) -> None:
    twins: list[Pod] = [pod("llama-0"), pod("llama-1")]
    store.replace_pods(twins, scope=None)
    relist(store, deployment())
    assert list(shown(store).pods or ()) == twins
