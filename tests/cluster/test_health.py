"""Status and reason from what watches and probe met: one table."""

import pytest

from cluster.errors import ApiError, ClusterError, CredentialRejected, Unreachable
from cluster.health import NOT_INSTALLED, Health, Watch, judge
from cluster.types import InstanceStatus

LIVE = Watch(live=True, synced=True)
HOST = "https://10.1.2.3:6443"
CUT = Unreachable(f"{HOST}: the connection is refused")
FORBIDDEN = ApiError(403, message="User system:serviceaccount:x:hub cannot list")


def _failed(error: ClusterError, *, synced: bool = True) -> Watch:
    return Watch(synced=synced, error=error)


def _health(deployments: Watch, pods: Watch = LIVE, probe: ClusterError | None = None) -> Health:
    return Health(
        {("deployments", None): deployments, ("pods", None): pods},
        discovered=True,
        api_group="airunway.ai",
        probe_error=probe,
    )


def _limited(team_b: Watch) -> Health:
    return Health(
        {("deployments", "ml-team"): LIVE, ("deployments", "team-b"): team_b},
        discovered=True,
        api_group="airunway.ai",
    )


CASES: list[tuple[Health, InstanceStatus, bool, str | None]] = [
    (Health({}), InstanceStatus.CONNECTING, False, None),
    (_health(LIVE), InstanceStatus.CONNECTED, True, None),
    (_health(LIVE, pods=Watch()), InstanceStatus.CONNECTING, True, None),
    (_health(LIVE, pods=_failed(FORBIDDEN)), InstanceStatus.DEGRADED, True, "may not list and watch pods"),
    (_health(LIVE, probe=CUT), InstanceStatus.DEGRADED, True, "the health probe: https"),
    (_health(_failed(CUT)), InstanceStatus.DISCONNECTED, False, "connection is refused"),
    (_health(Watch(), probe=CUT), InstanceStatus.DISCONNECTED, False, "connection is refused"),
    (_health(_failed(ApiError(401))), InstanceStatus.ERROR, False, "renew the kubeconfig"),
    (_health(LIVE, probe=ApiError(401)), InstanceStatus.ERROR, True, "renew the kubeconfig"),
    (_health(_failed(FORBIDDEN)), InstanceStatus.ERROR, False, "may not list and watch deployments"),
    (_health(_failed(ApiError(503))), InstanceStatus.DEGRADED, False, "answers 503 for deployments"),
    (Health({}, discovery_error=CUT), InstanceStatus.DISCONNECTED, False, "connection is refused"),
    (Health({}, discovery_error=ApiError(503)), InstanceStatus.DEGRADED, False, "503 for the API groups"),
    (Health({}, discovered=True), InstanceStatus.CONNECTED, True, NOT_INSTALLED),
    (Health({}, credential_error=CredentialRejected("no token")), InstanceStatus.ERROR, False, "no token"),
    (
        _health(Watch(live=True, synced=True, undecodable={"ml-team/odd": "Expected `int`"})),
        InstanceStatus.DEGRADED,
        True,
        "1 of the deployments can't be shown, such as ml-team/odd: Expected `int`",
    ),
]


@pytest.mark.parametrize(("health", "status", "live", "reason"), CASES)
def test_status(health: Health, status: InstanceStatus, live: bool, reason: str | None) -> None:
    verdict = judge(health, ever_synced=True)
    assert (verdict.status, health.live) == (status, live)
    assert (reason or "") in (verdict.reason or "")
    assert (verdict.reason is None) == (reason is None)


@pytest.mark.parametrize("health", [case[0] for case in CASES])
def test_the_public_reason_names_no_address_and_no_account(health: Health) -> None:
    public = judge(health, ever_synced=True).public_reason or ""
    assert not any(word in public for word in ("10.1.2.3", "system:", "ml-team", "token", "kubeconfig"))


def test_a_server_that_fails_before_the_first_sync_is_still_being_connected_to() -> None:
    verdict = judge(_health(_failed(ApiError(503), synced=False)), ever_synced=False)
    assert verdict.status is InstanceStatus.CONNECTING
    assert verdict.reason is not None


def test_a_namespace_that_was_never_readable_makes_nothing_stale() -> None:
    forbidden = _failed(FORBIDDEN, synced=False)
    health = _limited(forbidden)
    assert health.live
    verdict = judge(health, ever_synced=True)
    assert verdict.status is InstanceStatus.DEGRADED
    assert "deployments in team-b" in (verdict.reason or "")


def test_a_namespace_that_stopped_being_readable_is_stale() -> None:
    assert not _limited(_failed(FORBIDDEN)).live
