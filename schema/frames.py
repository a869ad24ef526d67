"""Messages as bytes of their transport, made once and shared by everybody who gets them.

Over WebSocket a `next` message differs between subscribers in nothing but its operation's id, so frames are
woven once for each length of id: `id.join(weave(payloads, len(id)))` is the bytes of all of them. In an event
stream nothing differs at all.
"""

import struct
from collections.abc import Sequence

_BEFORE = b'{"id":'
_BETWEEN = b',"type":"next","payload":'
_AFTER = b"}"
_TEXT = 0x81
"""FIN and the text opcode (RFC 6455, section 5.2)."""

COMPLETE = b"event: complete\ndata:\n\n"
"""No space after the colon: urql would take one for JSON."""
COMMENT = b":\n\n"
"""What event streams send to show that they are alive."""


class Batch:
    """Payloads that go out together, to outlets of any kind."""

    __slots__ = ("_chunk", "_events", "_payloads", "_woven")

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self._payloads = payloads
        self._woven: dict[int, list[bytes]] = {}
        self._events: bytes | None = None
        self._chunk: bytes | None = None

    def frames(self, operation_id: bytes) -> bytes:
        """For the WebSocket operation with this id, which is written as JSON."""
        length = len(operation_id)
        woven = self._woven.get(length)
        if woven is None:
            woven = self._woven[length] = weave(self._payloads, length)
        return operation_id.join(woven)

    def events(self) -> bytes:
        if self._events is None:
            self._events = b"".join(event(payload) for payload in self._payloads)
        return self._events

    def chunk(self) -> bytes:
        """The events as one chunk of an HTTP body."""
        if self._chunk is None:
            self._chunk = chunk(self.events())
        return self._chunk


def header(length: int) -> bytes:
    """The header of an unmasked, unfragmented text frame with so many bytes of payload."""
    if length < 126:
        return struct.pack("!BB", _TEXT, length)
    if length < 65536:
        return struct.pack("!BBH", _TEXT, 126, length)
    return struct.pack("!BBQ", _TEXT, 127, length)


def weave(payloads: Sequence[bytes], id_length: int) -> list[bytes]:
    """The pieces between the ids of a run of `next` messages; `id_length` is that of the id as JSON."""
    around = len(_BEFORE) + id_length + len(_BETWEEN) + len(_AFTER)
    pieces, tail = [], b""
    for payload in payloads:
        pieces.append(tail + header(around + len(payload)) + _BEFORE)
        tail = _BETWEEN + payload + _AFTER
    pieces.append(tail)
    return pieces


def frame(message: bytes) -> bytes:
    return header(len(message)) + message


def event(payload: bytes) -> bytes:
    """A `next` event. Its lines end in LF, because urql looks for no other end; JSON has none of its own."""
    return b"event: next\ndata: %b\n\n" % payload


def chunk(data: bytes) -> bytes:
    """A piece of an HTTP body (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)
