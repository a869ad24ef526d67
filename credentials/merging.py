"""Several kubeconfigs read as one, as kubectl reads KUBECONFIG.

Of what several say the first counts, files that aren't there are left out, and paths start from the folder of
the file that names them.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from credentials.errors import Refused
from credentials.files import Read
from credentials.kubeconfig import Section, parse

EVERYWHERE = "/"
"""Where paths may lead: the files are those of the person who runs the hub, as the kubeconfigs are."""
_PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


class NoContext(Refused):
    """There is no kubeconfig, or none with a current context."""


def read_merged(files: Iterable[Path], read: Read) -> Section:
    """One kubeconfig, its paths absolute. Raises `Refused`."""
    merged: dict[str, Any] = {}
    for file in files:
        with suppress(NoContext):
            _merge(merged, _parsed(file, read))
    if not merged:
        where = " or ".join(map(str, files))
        raise NoContext(f"There is no kubeconfig in {where}: put one there, or name another in KUBECONFIG.")
    if not merged.get("current-context"):
        raise NoContext("No `current-context` is set: choose one with `kubectl config use-context`.")
    return merged


def is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # nobody can tell: reading it says why
        return True


def _parsed(file: Path, read: Read) -> Section:
    """A kubeconfig with absolute paths. Raises `Refused`; `NoContext` if it isn't there or empty."""
    present = is_there(file)
    try:
        raw = read(EVERYWHERE, str(file))
        if not raw.strip():
            raise NoContext("It is empty.")
        return _absolute(parse(raw), file.parent)
    except Refused as refusal:
        if not present or isinstance(refusal, NoContext):
            raise NoContext(refusal.reason) from refusal
        raise Refused(f"{file}: {refusal.reason}") from refusal


def _absolute(document: Section, folder: Path) -> Section:
    """Paths in a kubeconfig start from its folder."""
    found = dict(document)
    for entries, body in (("clusters", "cluster"), ("users", "user")):
        found[entries] = [
            {**entry, body: _with_paths(entry[body], folder)} if isinstance(entry.get(body), dict) else entry
            for entry in _entries(document, entries)
        ]
    return found


def _with_paths(section: Section, folder: Path) -> Section:
    paths = {key: str(folder / path) for key in _PATHS if isinstance(path := section.get(key), str) and path}
    return {**section, **paths}


def _merge(merged: dict[str, Any], document: Section) -> None:
    """Add what isn't there yet, as kubectl does."""
    merged["current-context"] = merged.get("current-context") or document.get("current-context")
    for entries in ("contexts", "clusters", "users"):
        there = merged.setdefault(entries, [])
        known = {entry.get("name") for entry in there}
        there += [entry for entry in _entries(document, entries) if entry.get("name") not in known]


def _entries(document: Section, plural: str) -> list[dict[str, Any]]:
    entries = document.get(plural) or []
    if not isinstance(entries, list) or not all(_has_name(entry) for entry in entries):
        raise Refused(f"`{plural}` should be a list of entries with names.")
    return entries


def _has_name(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name"), str)
