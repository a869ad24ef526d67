"""Who is to be woken when something changed."""

import asyncio
from collections.abc import Callable

from cluster.feed import Fleet, InstanceFeed, Unsubscribe


class Wakeups:
    """Subscribers, woken once at the end of the outermost `with`, and only if `changed` was set within."""

    def __init__(self) -> None:
        self.changed = False
        self._depth = 0
        self._subscribers: dict[object, Callable[[], None]] = {}

    def subscribe(self, wake: Callable[[], None]) -> Unsubscribe:
        token = object()
        self._subscribers[token] = wake

        def unsubscribe() -> None:
            self._subscribers.pop(token, None)

        return unsubscribe

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self.changed and not self._depth:
            self.changed = False
            for wake in list(self._subscribers.values()):
                wake()


async def until(source: InstanceFeed | Fleet, condition: Callable[[], bool], *, within: float) -> None:
    """Wait until the condition holds, asking at every change, for so many seconds at the most."""
    changed = asyncio.Event()
    unsubscribe = source.subscribe(changed.set)
    try:
        async with asyncio.timeout(within):
            while not condition():
                await changed.wait()
                changed.clear()
    except TimeoutError:
        return
    finally:
        unsubscribe()
