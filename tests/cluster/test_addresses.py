"""Where a kubeconfig that was sent may not lead, by address and by name."""

from pathlib import Path

import msgspec
import pytest

from cluster.addresses import is_local
from hub.demo.cluster import SimulatedCluster
from tests.support.fleets import credential, seen, stands, watched
from tests.support.tls import over_https

LOCAL = (
    "127.0.0.1", "127.8.9.10", "0.0.0.0", "169.254.169.254", "::1", "::", "fe80::1", "fe80::1%eth0",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "ff02::1",
)  # fmt: skip
ELSEWHERE = ("10.0.0.1", "192.168.1.1", "203.0.113.7", "2001:db8::1", "fd00::1", "::ffff:10.0.0.1")


@pytest.mark.parametrize("address", LOCAL)
def test_is_local(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_is_elsewhere(address: str) -> None:
    assert not is_local(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("refused", [True, False])
async def test_it_is_judged_when_connecting(
    simulated_cluster: SimulatedCluster, tmp_path: Path, *, host: str, refused: bool
) -> None:
    async with over_https(simulated_cluster, tmp_path, host=host) as kubeconfig:
        sent = msgspec.structs.replace(credential(kubeconfig), local_refused=refused)
        async with watched(sent) as instance:
            await seen(instance.store, stands("ERROR" if refused else "CONNECTED"))
            assert ("link-local" in (instance.store.state.reason or "")) is refused
            assert "127.0.0.1" not in (instance.store.state.public_reason or "")
    assert bool(simulated_cluster.requests) is not refused
