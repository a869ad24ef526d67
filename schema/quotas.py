"""How many operations somebody has under way, over all connections and transports."""

from collections import defaultdict
from typing import Self

from auth.identity import Identity
from schema.errors import LimitExceeded


class Quota:
    """Counts by person; those who aren't signed in count as one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: defaultdict[str, int] = defaultdict(int)

    def __len__(self) -> int:
        return sum(self._taken.values())

    def take(self, identity: Identity | None) -> "Place":
        """A place for one more operation. Raises `LimitExceeded` if the person has as many as they may."""
        person = identity.user_id if identity else ""
        taken = self._taken.get(person, 0)
        if taken >= self._limit:
            message = f"You have {taken} operations under way, on all connections together; end some first"
            raise LimitExceeded("PERSON_OPERATIONS", message, limit=self._limit, actual=taken + 1)
        self._taken[person] = taken + 1
        return Place(self, person)

    def give_back(self, person: str) -> None:
        self._taken[person] -= 1
        if not self._taken[person]:
            del self._taken[person]


class Place:
    """Given back once, however often and from however many sides its operation ends."""

    __slots__ = ("_person", "_quota")

    def __init__(self, quota: Quota, person: str) -> None:
        self._quota: Quota | None = quota
        self._person = person

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        quota, self._quota = self._quota, None
        if quota is not None:
            quota.give_back(self._person)
