"""What is selected of an object, as JSON, kept until the object changes.

A *version* is a frozen struct that stands for one state of an object for good, such as a deployment at one
resource version. What is selected of it is encoded once, for all lists and streams that select the same, and
kept for as long as the version is asked for. With other rights it is kept apart: an answer is never shared
between people who may see different things.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, cast
from weakref import WeakValueDictionary

import msgspec

GENERATION = 1_024
"""Versions in a generation; a page has up to 1,000. Two generations of a selection are kept."""
MOST = 65_536
"""Versions kept over all selections, at about 600 bytes each."""

Piece = msgspec.Raw | tuple[bytes, ...]
"""A fragment: whole, or what stands around those fields that are asked for each time."""
Make = Callable[[Any], Piece]


class Kept:
    """The fragments of one selection, as seen with the same rights."""

    def __init__(self, grown: Callable[[], None]) -> None:
        self._grown = grown
        self._young: dict[int, tuple[object, Piece]] = {}
        self._old: dict[int, tuple[object, Piece]] = {}
        self._world: Hashable = None
        self._listed: Sequence[object] = ()
        self._list = msgspec.Raw(b"[]")
        """The last list that was asked for, as a whole."""
        self.used = 0.0
        """When it was last asked, by `time.monotonic`."""

    def __len__(self) -> int:
        return len(self._young) + len(self._old) + len(self._listed)

    def enter(self, world: Hashable) -> None:
        """Before it is asked: forget what was made in another world, which is what the fragments depend on
        besides their versions."""
        self.used = time.monotonic()
        if world != self._world:
            self.clear()
            self._world = world

    def clear(self) -> None:
        self._young.clear()
        self._old.clear()
        self._listed, self._list = (), msgspec.Raw(b"[]")

    def of(self, version: object, make: Make) -> Piece:
        # By identity, which no other object can have while the version is held here.
        found = self._young.get(id(version))
        return self._missed(version, make) if found is None else found[1]

    def of_all(self, versions: Sequence[object], make: Callable[[Any], msgspec.Raw]) -> msgspec.Raw:
        """A list of whole fragments. The same list, which nobody may change, is joined once."""
        if versions is not self._listed:
            find = self._young.get
            pieces = [
                self._missed(version, make) if (found := find(id(version))) is None else found[1]
                for version in versions
            ]
            joined = b",".join(cast("list[msgspec.Raw]", pieces))
            self._listed, self._list = versions, msgspec.Raw(b"[" + joined + b"]")
        return self._list

    def _missed(self, version: object, make: Make) -> Piece:
        found = self._old.pop(id(version), None)
        if found is None:
            found = version, make(version)
            self._grown()
        if len(self._young) >= GENERATION:
            self._old, self._young = self._young, {}
        self._young[id(version)] = found
        return found[1]


class Fragments:
    """All that is kept. A selection's fragments go with the last who asks for them."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._kept: WeakValueDictionary[Hashable, Kept] = WeakValueDictionary()
        self.made = 0
        """How often a version was encoded."""

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def of(self, selection: Hashable) -> Kept:
        """The selection's fragments; `selection` says what is selected, and with which rights."""
        return self._kept.setdefault(selection, Kept(self._grown))

    def _grown(self) -> None:
        self.made += 1
        if self.made % GENERATION == 0:
            self._trim()

    def _trim(self) -> None:
        """Empty the least recently asked selections until there is room."""
        total = len(self)
        for kept in sorted(self._kept.values(), key=lambda each: each.used):
            if total <= self._most:
                break
            total -= len(kept)
            kept.clear()
