"""What can go wrong, as values that are switched on and off while the server runs."""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import msgspec


class Verb(StrEnum):
    """What a request does; DISCOVER is everything that isn't about objects (`/version`, `/apis/…`)."""

    GET = "get"
    LIST = "list"
    WATCH = "watch"
    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    DISCOVER = "discover"


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all faults: what it strikes, how often and for how long."""

    resource: str | None = None
    """A plural (`modeldeployments`); None strikes all, and only then what is no resource."""
    verbs: frozenset[Verb] | None = None
    """None strikes all."""
    count: int | None = None
    """How many times it strikes; None without end."""
    seconds: float | None = None
    """How long it lasts; None until cleared."""


class Refuse(Fault, frozen=True):
    """Answer with an error status: 401, 403, 410, 429, 500, 503."""

    status: int
    retry_after: float | None = None
    """Seconds; the Retry-After header of 429 and 503."""


class GoneOnContinue(Fault, frozen=True):
    """A list's `continue` token is too old: 410."""


class GoneInStream(Fault, frozen=True):
    """An open watch gets an ERROR event 410, then ends."""


class CutMidLine(Fault, frozen=True):
    """An open watch is aborted in the middle of a JSON line."""


class Silence(Fault, frozen=True):
    """Watches stay open and send nothing, no bookmarks either. What happens is sent once it ends."""


class Slow(Fault, frozen=True):
    """Every answer takes longer."""

    delay: float
    """Seconds."""


class Hang(Fault, frozen=True):
    """Requests are accepted and never answered."""


AnyFault = Refuse | GoneOnContinue | GoneInStream | CutMidLine | Silence | Slow | Hang


F = TypeVar("F", bound=AnyFault)


def _meant_for(fault: AnyFault, resource: str | None, verb: Verb) -> bool:
    if fault.resource is not None and fault.resource != resource:
        return False
    return fault.verbs is None or verb in fault.verbs


class Injected:
    """A fault at work."""

    def __init__(self, fault: AnyFault, *, remove: Callable[["Injected"], None]) -> None:
        self.fault = fault
        self.strikes = 0
        """How often it struck so far."""
        self._remove = remove
        self._expiry: asyncio.TimerHandle | None = None
        if fault.seconds is not None:
            self._expiry = asyncio.get_running_loop().call_later(fault.seconds, self.clear)

    def clear(self) -> None:
        """End it; requests that hang by it go on hanging until their client leaves."""
        if self._expiry is not None:
            self._expiry.cancel()
        self._remove(self)

    def strike(self) -> None:
        self.strikes += 1
        if self.strikes == self.fault.count:
            self.clear()


class Faults:
    """The faults of one cluster."""

    def __init__(self) -> None:
        self._active: list[Injected] = []
        self._wakes: set[Callable[[], None]] = set()

    def inject(self, fault: AnyFault) -> Injected:
        """Switch a fault on; open watches feel it at once."""
        injected = Injected(fault, remove=self._remove)
        self._active.append(injected)
        self._wake()
        return injected

    def clear(self) -> None:
        """Switch all faults off."""
        for injected in tuple(self._active):
            injected.clear()

    def strike(self, kind: type[F], resource: str | None, verb: Verb) -> F | None:
        """The first fault of a kind that is meant for such a request; it has struck with that."""
        for injected in self._active:
            fault = injected.fault
            if isinstance(fault, kind) and _meant_for(fault, resource, verb):
                injected.strike()
                return fault
        return None

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` whenever a fault comes or goes; the returned function ends that."""
        self._wakes.add(wake)
        return lambda: self._wakes.discard(wake)

    def _remove(self, injected: Injected) -> None:
        if injected in self._active:
            self._active.remove(injected)
            self._wake()

    def _wake(self) -> None:
        for wake in tuple(self._wakes):
            wake()
