"""Who is to be woken when something changed."""

from collections.abc import Callable

from cluster.feed import Unsubscribe


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
