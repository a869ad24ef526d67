"""Messages as WebSocket frames, made once and shared by every socket that gets them.

A `next` message differs between subscribers in nothing but its operation's id, so frames are woven once for
each length of id: `id.join(weave(payloads, len(id)))` is the bytes of all of them.
"""

import struct
from collections.abc import Sequence

_BEFORE = b'{"id":'
_BETWEEN = b',"type":"next","payload":'
_AFTER = b"}"
_TEXT = 0x81
"""FIN and the text opcode (RFC 6455, section 5.2)."""


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
