"""Callbacks after the commit: what a change's readers may be told of, once they can read it."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

from tortoise.backends.base.client import NestedTransactionContext, TransactionalDBClient

Callback = Callable[[], None]


class Client:
    """Outside of a transaction, everything is committed at once."""

    def on_commit(self, callback: Callback) -> None:
        """Call it right after the commit of the transaction that this is, and never after a rollback."""
        callback()


class TransactionalClient(Client):
    def __init__(self, connection: Any) -> None:
        super().__init__(connection)  # type: ignore[call-arg]  # to Tortoise's wrapper, next in line
        self.callbacks: list[Callback] = []

    def on_commit(self, callback: Callback) -> None:
        self.callbacks.append(callback)

    def committed(self) -> None:
        for callback in self.callbacks:
            callback()


class Savepoint(NestedTransactionContext):
    """Rolled back, it takes the callbacks away that were added inside."""

    def __init__(self, client: TransactionalDBClient, callbacks: list[Callback]) -> None:
        super().__init__(client)
        self._callbacks = callbacks  # the outermost transaction's, which every savepoint is given
        self._mark = len(callbacks)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if exc is not None:
            del self._callbacks[self._mark :]
        await super().__aexit__(exc_type, exc, tb)
