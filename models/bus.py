"""The change bus: what was changed, told to every replica that has to act on it.

    async with database.transaction():
        await User.filter(id=user_id).update(active=False)
        await publish("user", user_id)

A change is told once the outermost transaction is committed, and never if that, or the savepoint around the
publishing, is rolled back. It says only where to look again, so it may be told more often than it happened.

The process that makes a change is told right after the commit, before whoever asked for it has an answer. On
PostgreSQL a NOTIFY in the same transaction reaches the LISTEN of every other replica. While that is lost,
others' changes pass by, and once it is back, subscribers are told `EVERYTHING`. Whoever can't wait for that
looks again on a timer too. SQLite serves one process; what commands change beside it is for the timer.
"""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Literal
from uuid import uuid4

import asyncpg
import msgspec
from anyio import CancelScope

from models.connection import current_client
from models.engines import commits
from models.engines.asyncpg import AWAY, connect
from models.url import DatabaseUrl, PostgresUrl

log = logging.getLogger(__name__)

Kind = Literal[
    "user",  # a person's row, grants or groups; id: usr_…
    "session",  # ses_…
    "token",  # tok_…
    "mappings",  # any group mapping; no id
    "instances",  # the registered instances; id: the instance's name, or none
    "audit",  # a new entry, or an entry's outcome; aud_…
    "everything",  # anything may have changed
]


class Change(msgspec.Struct, frozen=True, array_like=True):
    """What is to be looked at again."""

    kind: Kind
    id: str = ""


EVERYTHING = Change("everything")

Subscriber = Callable[[Change], None]
"""Called in the event loop's thread, between two awaits: to be quick, and to raise nothing."""

CHANNEL = "hub_changes"
LONGEST = 7_900
"""Bytes of a change. A NOTIFY carries 7,999 with all that is around it."""
RETRY = (0.1, 5.0)
"""Seconds before the first attempt to listen again, and at most."""
PING_EVERY = 10.0
"""Seconds. A network that swallows packets closes no connection by itself."""
PATIENCE = 5.0
"""Seconds for connecting, and for the answer to a ping."""


async def publish(kind: Kind, id: str = "") -> None:  # noqa: A002 - as rows name it
    """Tell the entered database's subscribers. Raises `models.errors.DatabaseUnavailable`.

    Call it inside the transaction that makes the change; outside of one it is told at once.
    """
    await _entered.get().publish(Change(kind, id))


class _Notice(msgspec.Struct, frozen=True, array_like=True):
    """What a NOTIFY carries."""

    origin: str
    """Which bus published it."""
    change: Change


class Bus(ABC):
    """One database's changes; made by `models.database.open_database`."""

    def __init__(self) -> None:
        self._subscribers: dict[object, Subscriber] = {}

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell the subscriber every change from now on, until what is returned is called."""
        key = object()
        self._subscribers[key] = subscriber

        def unsubscribe() -> None:
            self._subscribers.pop(key, None)

        return unsubscribe

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within, `publish` means this bus."""
        token = _entered.set(self)
        try:
            yield
        finally:
            _entered.reset(token)

    @abstractmethod
    async def publish(self, change: Change) -> None: ...

    @abstractmethod
    async def keep_listening(self) -> None:
        """Endless where changes come from other processes: to be run as a task."""

    def _deliver_on_commit(self, change: Change) -> None:
        client = current_client()
        if not isinstance(client, commits.Client):
            raise TypeError(f"{client} is no connection of models.engines")
        client.on_commit(partial(self._deliver, change))

    def _deliver(self, change: Change) -> None:
        for subscriber in list(self._subscribers.values()):
            try:
                subscriber(change)
            except Exception:
                # Whoever published has committed, and the next subscriber has to know all the same.
                log.exception("a subscriber of the change bus failed on %s", change)


_entered: ContextVar[Bus] = ContextVar("the entered database's change bus")


class InProcessBus(Bus):
    """SQLite's."""

    async def publish(self, change: Change) -> None:
        _check(change)
        self._deliver_on_commit(change)

    async def keep_listening(self) -> None:
        """Nobody else changes anything that this process could be told of."""


class PostgresBus(Bus):
    """LISTEN on a connection of its own, NOTIFY on whichever connection makes the change."""

    def __init__(self, url: PostgresUrl) -> None:
        super().__init__()
        self._url = url
        self._origin = uuid4().hex

    async def publish(self, change: Change) -> None:
        _check(change)
        notice = msgspec.json.encode(_Notice(self._origin, change)).decode()
        await current_client().execute_query("SELECT pg_notify($1, $2)", [CHANNEL, notice])
        self._deliver_on_commit(change)

    async def keep_listening(self) -> None:
        first, longest = RETRY
        delay = first
        while True:
            try:
                await self._listen()
                delay = first
            except AWAY as error:
                log.warning("changes of other replicas can't be heard from %s: %s", self._url, error)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            delay = min(delay * 2, longest)

    async def _listen(self) -> None:
        """Until the connection is lost. Raises one of `AWAY`."""
        connection = await connect(self._url.dsn, timeout=PATIENCE, command_timeout=PATIENCE)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        try:
            await connection.add_listener(CHANNEL, self._hear)
            self._deliver(EVERYTHING)  # whatever was missed until now
            while not lost.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(PING_EVERY):
                        await lost.wait()
                        log.warning("the connection that hears changes from %s was cut", self._url)
                        return
                await connection.execute("SELECT 1")
        finally:
            await _close(connection)

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        try:
            notice = msgspec.json.decode(str(payload), type=_Notice)
        except msgspec.DecodeError:  # of a later release, or by hand
            log.info("a change that this release doesn't know was heard: everything is looked at again")
            self._deliver(EVERYTHING)
            return
        if notice.origin != self._origin:  # else it was told at the commit
            self._deliver(notice.change)


def make_bus(url: DatabaseUrl, *, listen_url: PostgresUrl | None) -> Bus:
    """`listen_url`: where LISTEN works, if a pooler stands at `url`."""
    return PostgresBus(listen_url or url) if isinstance(url, PostgresUrl) else InProcessBus()


def _check(change: Change) -> None:
    """On every database the same."""
    if len(msgspec.json.encode(change)) > LONGEST:
        raise ValueError(f"a change has at most {LONGEST} bytes: publish where to look, not what is there")


async def _close(connection: asyncpg.Connection) -> None:
    with CancelScope(shield=True):
        try:
            await connection.close(timeout=1.0)
        except AWAY:
            connection.terminate()
