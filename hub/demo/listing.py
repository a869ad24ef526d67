"""Lists: pages over one consistent version."""

import base64
from itertools import islice

import msgspec

from hub.demo.objects import Collection, Key, Store
from hub.demo.selectors import Selection
from hub.demo.status import StatusError, bad_request, expired


class ListOptions(msgspec.Struct, frozen=True):
    limit: int = 0
    """0 is all."""
    continue_: str = ""
    version: int | None = None
    """The version asked for; exact or "not older than", by `exact`."""
    exact: bool = False


class _Continue(msgspec.Struct, frozen=True):
    """What a continue token holds."""

    version: int
    after: Key


def list_body(store: Store, collection: Collection, selection: Selection, options: ListOptions) -> bytes:
    """The encoded list. Raises a 410 for a version or token that is compacted, a 504 for one to come."""
    position = _position(store, options)
    try:
        found = collection.scan_at(position.version, selection.namespace, position.after)
    except StatusError as error:
        raise _too_old(options) or error from error
    matching = [stored for stored in found if selection.holds(stored)]
    page = list(islice(matching, options.limit)) if options.limit else matching
    metadata: dict[str, str | int] = {"resourceVersion": str(position.version), "continue": ""}
    if len(page) < len(matching):
        metadata["continue"] = _token(_Continue(position.version, page[-1].key))
        if selection.unfiltered:
            metadata["remainingItemCount"] = len(matching) - len(page)
    head = {"kind": f"{collection.resource.kind}List", "apiVersion": collection.resource.api_version}
    head_json = msgspec.json.encode({**head, "metadata": metadata})
    return b'%b,"items":[%b]}' % (head_json[:-1], b",".join(stored.body for stored in page))


def _position(store: Store, options: ListOptions) -> _Continue:
    if options.continue_:
        return _parse(options.continue_)
    if options.version is not None and options.version > store.version:
        message = f"Timeout: Too large resource version: {options.version}, current: {store.version}"
        raise StatusError(504, "Timeout", message, retry_after=1)
    wanted = options.version if options.exact else None
    return _Continue(store.version if wanted is None else wanted, ("", ""))


def _too_old(options: ListOptions) -> StatusError | None:
    if not options.continue_:
        return None
    return expired(
        "The provided continue parameter is too old to display a consistent list result. "
        "You must start a new list without the continue parameter."
    )


def _token(position: _Continue) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def _parse(token: str) -> _Continue:
    try:
        padded = token + "=" * (-len(token) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Continue)
    except (ValueError, msgspec.DecodeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from error
