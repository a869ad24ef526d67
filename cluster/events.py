"""Lists and watch events, decoded from the bytes that an API server sends.

An object that doesn't fit its struct is an `Undecodable` in its place: one odd object never hides the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

import msgspec

from cluster.answers import Status
from cluster.wire import Metadata, Resource

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Opened:
    """The API server accepted the watch: what was last known is of now."""


@dataclass(frozen=True, slots=True)
class Applied(Generic[R]):
    """ADDED or MODIFIED: which of the two, only a store can tell."""

    resource: R
    version: str


@dataclass(frozen=True, slots=True)
class Removed(Generic[R]):
    resource: R
    """Its last state; with nothing but metadata where that state doesn't fit the struct."""
    version: str


@dataclass(frozen=True, slots=True)
class Bookmark:
    version: str


@dataclass(frozen=True, slots=True)
class Undecodable:
    key: str
    """namespace/name"""
    version: str
    problem: str


WatchEvent: TypeAlias = Opened | Applied[R] | Removed[R] | Bookmark | Undecodable


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """A part of a list."""

    items: tuple[R, ...]
    undecodable: tuple[Undecodable, ...]
    version: str
    """The resource version that a watch of the whole list starts from."""
    next: str
    """The token of the next page; empty on the last."""
    remaining: int
    """How many items lie on later pages, where the server says so."""


class _ListMetadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int = 0


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMetadata
    items: list[msgspec.Raw] | None = None


class _Envelope(msgspec.Struct, frozen=True):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: msgspec.Raw


def page_decoder(type_: type[R]) -> Callable[[bytes], Page[R]]:
    """Its result raises msgspec.DecodeError for what is no Kubernetes list."""
    decoder = msgspec.json.Decoder(type_)

    def decode(body: bytes) -> Page[R]:
        whole = msgspec.json.decode(body, type=_List)
        items: list[R] = []
        odd: list[Undecodable] = []
        for raw in whole.items or ():
            try:
                items.append(decoder.decode(raw))
            except msgspec.ValidationError as error:
                odd.append(_undecodable(raw, error))
        listed = whole.metadata
        return Page(
            items=tuple(items),
            undecodable=tuple(odd),
            version=listed.resource_version,
            next=listed.continue_,
            remaining=listed.remaining_item_count,
        )

    return decode


def event_decoder(type_: type[R]) -> Callable[[bytes], WatchEvent[R]]:
    """Its result raises msgspec.DecodeError for what is no watch event, and ApiError for an ERROR event."""
    decoder = msgspec.json.Decoder(type_)

    def decode(line: bytes) -> WatchEvent[R]:
        envelope = msgspec.json.decode(line, type=_Envelope)
        if envelope.type == "ERROR":
            status = msgspec.json.decode(envelope.object, type=Status)
            raise status.error(status=status.code)
        if envelope.type == "BOOKMARK":
            return Bookmark(_metadata(envelope.object).resource_version)
        try:
            resource = decoder.decode(envelope.object)
        except msgspec.ValidationError as error:
            if envelope.type != "DELETED":
                return _undecodable(envelope.object, error)
            resource = type_(metadata=_metadata(envelope.object))
        made = Removed if envelope.type == "DELETED" else Applied
        return made(resource, resource.metadata.resource_version)

    return decode


def _undecodable(raw: msgspec.Raw, error: msgspec.ValidationError) -> Undecodable:
    metadata = _metadata(raw)
    return Undecodable(key_of(metadata), metadata.resource_version, str(error))


def key_of(metadata: Metadata) -> str:
    return f"{metadata.namespace}/{metadata.name}"


def _metadata(raw: msgspec.Raw) -> Metadata:
    return msgspec.json.decode(raw, type=Resource).metadata
