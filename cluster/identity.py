"""Which cluster answers: a name's rights are for one cluster, whatever its kubeconfig leads to today."""

import asyncio

from cluster import paths
from cluster.client import Client
from cluster.errors import AnotherCluster, ApiError, Unreachable
from cluster.wire import Resource

UNREAD = (
    "The namespace kube-system can't be read, so another cluster under this name wouldn't be noticed: let "
    "the credential `get` it."
)


async def read_uid(client: Client, *, deadline: float) -> str | None:
    """The uid of `kube-system`; None where the credential may not read it, or where there is none.

    Raises what `Client` raises, and Unreachable after `deadline` seconds.
    """
    try:
        async with asyncio.timeout(deadline):
            return (await client.get(paths.KUBE_SYSTEM, Resource)).metadata.uid or None
    except ApiError as error:
        if error.status in (403, 404):
            return None
        raise
    except TimeoutError as error:
        raise Unreachable(f"{client.endpoint}: the API server didn't answer within {deadline:g} s") from error


class Identity:
    """Which cluster an instance's name stands for, and which one answered last.

    `known` is what the hub remembers of the name; until it does, it is whichever answered first.
    """

    def __init__(self, known: str | None) -> None:
        self.found: str | None = None
        """What answers, as far as that is known and right."""
        self.doubted = asyncio.Event()
        """Set when it is to be looked at again."""
        self._known = known
        self._first: str | None = None

    def expect(self, known: str | None) -> None:
        """What the hub remembers has changed; where it forgot, any cluster may take the place."""
        if known != self._known:
            self._known = known
            if known is None:
                self._first = self.found = None
            self.doubted.set()

    def check(self, uid: str | None) -> None:
        """Raises AnotherCluster. One that can't be told (None) is taken."""
        self.found = None
        expected = self._known or self._first
        if uid is not None and expected is not None and uid != expected:
            raise AnotherCluster(known=expected, found=uid)
        self._first = self._first or uid
        self.found = uid
