"""What a client may send by the graphql-transport-ws protocol; everything else closes with 4400."""

from typing import Any

import msgspec


class _Message(msgspec.Struct, frozen=True, tag_field="type"):
    pass


class ConnectionInit(_Message, frozen=True, tag="connection_init"):
    payload: dict[str, Any] | None = None


class Ping(_Message, frozen=True, tag="ping"):
    payload: dict[str, Any] | None = None


class Pong(_Message, frozen=True, tag="pong"):
    payload: dict[str, Any] | None = None


class Operation(msgspec.Struct, frozen=True, rename="camel"):
    """A GraphQL request."""

    query: str = ""
    """The document's text; empty where `extensions.persistedQuery` stands for it."""
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None


class Subscribe(_Message, frozen=True, tag="subscribe"):
    id: str
    payload: Operation

    def __post_init__(self) -> None:
        if not self.payload.query and not self.payload.extensions:
            raise ValueError("Object missing required field `query`")


class Complete(_Message, frozen=True, tag="complete"):
    id: str


ClientMessage = ConnectionInit | Ping | Pong | Subscribe | Complete
