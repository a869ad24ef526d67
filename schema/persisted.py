"""Automatic persisted queries, Apollo's protocol: a client sends the SHA-256 of a document it sent before.

A text is kept only if its hash is right and the document is sound, so nobody can put another text under a
hash or fill the store with what could never be executed. Whoever asks has to know the hash of the whole text,
so nobody learns of another's document. All texts together are bounded in bytes; what was used least recently
goes first.
"""

from collections import OrderedDict
from hashlib import sha256

import msgspec
from graphql import GraphQLError

from resolvers.errors import BadInput
from schema.documents import Document, Documents
from schema.errors import PersistedQueryNotFound
from schema.messages import Operation

VERSION = 1
_OVERHEAD = 200
"""Bytes that an entry takes beside its text, so that a flood of tiny documents is bounded too."""


class _Asked(msgspec.Struct, frozen=True, rename={"sha256_hash": "sha256Hash"}):
    version: int
    sha256_hash: str


class PersistedQueries:
    def __init__(self, documents: Documents, *, size: int) -> None:
        """Keeps at most `size` bytes."""
        self._documents = documents
        self._size = size
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._used = 0

    def resolve(self, operation: Operation) -> Operation | GraphQLError:
        """The operation with its document's text, which is kept if it comes with its hash."""
        if not operation.extensions or (raw := operation.extensions.get("persistedQuery")) is None:
            return operation
        try:
            asked = msgspec.convert(raw, _Asked)
        except msgspec.ValidationError as error:
            return _bad_input("", str(error))
        if asked.version != VERSION:
            return _bad_input(".version", f"must be {VERSION}, not {asked.version}")
        if operation.query:
            return self._keep(operation, asked.sha256_hash)
        text = self._texts.get(asked.sha256_hash)
        if text is None:
            unknown = PersistedQueryNotFound()
            return GraphQLError(str(unknown), original_error=unknown)
        self._texts.move_to_end(asked.sha256_hash)
        return msgspec.structs.replace(operation, query=text)

    def _keep(self, operation: Operation, digest: str) -> Operation | GraphQLError:
        text = operation.query
        encoded = text.encode()
        if sha256(encoded).hexdigest() != digest:
            return _bad_input(".sha256Hash", "isn't the SHA-256 of the query, in lower-case hexadecimal")
        if digest not in self._texts and isinstance(self._documents.check(text), Document):
            self._texts[digest] = text
            self._used += len(encoded) + _OVERHEAD
            while self._used > self._size:
                _, dropped = self._texts.popitem(last=False)
                self._used -= len(dropped.encode()) + _OVERHEAD
        return operation


def _bad_input(path: str, message: str) -> GraphQLError:
    error = BadInput((f"extensions.persistedQuery{path}", message))
    return GraphQLError(str(error), original_error=error)
