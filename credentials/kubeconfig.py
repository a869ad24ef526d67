"""From a kubeconfig to the sections that its current context selects."""

from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from credentials.errors import Refused, quoted
from credentials.names import is_dns_label

Section = Mapping[str, Any]


class Selection(msgspec.Struct, frozen=True):
    """The current context with the one cluster and the one user that it names."""

    context: str
    cluster_name: str
    cluster: Section
    user_name: str
    user: Section
    namespaces: tuple[str, ...]
    """Of all contexts with this cluster and this user, sorted."""


def select(document: Section) -> Selection:
    """Raises `Refused`."""
    contexts = _named(document, "contexts", "context")
    current = text(document, "current-context")
    if current is None or current not in contexts:
        wrong = "isn't set" if current is None else f"is {quoted(current)}, which isn't there"
        raise Refused(f"`current-context` {wrong}: `contexts` has {_list(contexts)}.")
    cluster_name, user_name = _reference(contexts[current], "cluster"), _reference(contexts[current], "user")
    return Selection(
        context=current,
        cluster_name=cluster_name,
        cluster=_entry(document, "clusters", "cluster", cluster_name),
        user_name=user_name,
        user=_entry(document, "users", "user", user_name),
        namespaces=_namespaces(contexts, cluster_name, user_name),
    )


def text(section: Section, key: str) -> str | None:
    """A field that is one line of text; None where it is absent or empty."""
    value = section.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Refused(f"`{key}` should be text: put its value in quotes.")
    if not value.isprintable():
        raise Refused(f"`{key}` holds a line break or another control character.")
    return value


def parse(raw: bytes) -> Section:
    """Plain YAML as a mapping, of which nothing else is known. Raises `Refused`."""
    try:
        source = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("The file isn't UTF-8 text.") from None  # the cause would carry the file's bytes
    if not source.strip():
        raise Refused("The file is empty.")
    try:
        _check_plain(source)
        document = yaml.load(source, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Refused(f"The file isn't valid YAML: there is a mistake{line}.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or number that is none
        raise Refused("The file isn't valid YAML.") from error
    if not isinstance(document, dict):
        raise Refused("The file isn't a kubeconfig: it should be a mapping with `current-context`.")
    return document


def _check_plain(source: str) -> None:
    """Refuse what a small file can become something huge or strange by, before anything is built from it."""
    for event in yaml.parse(source, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise Refused("The file uses YAML aliases (`*name`): write the values out.")
        if getattr(event, "tag", None) is not None:
            raise Refused("The file uses YAML tags (`!name`): write plain values.")


def _named(document: Section, plural: str, singular: str) -> dict[str, Section]:
    """The entries of one of the three lists, by name."""
    entries = document.get(plural) or []
    if not isinstance(entries, list):
        raise Refused(f"`{plural}` should be a list.")
    found: dict[str, Section] = {}
    for entry in entries:
        fields = entry if isinstance(entry, dict) else {}
        name, body = fields.get("name"), fields.get(singular) or {}
        if not isinstance(name, str) or not isinstance(body, dict):
            raise Refused(f"Every entry of `{plural}` should have a `name` and a `{singular}`.")
        if name in found:
            raise Refused(f"`{plural}` has two entries named {quoted(name)}: keep one.")
        found[name] = body
    return found


def _entry(document: Section, plural: str, singular: str, name: str) -> Section:
    entries = _named(document, plural, singular)
    if name not in entries:
        raise Refused(
            f"The current context names the {singular} {quoted(name)}; `{plural}` has {_list(entries)}."
        )
    return entries[name]


def _reference(context: Section, key: str) -> str:
    name = text(context, key)
    if name is None:
        raise Refused(f"The current context names no `{key}`.")
    return name


def _namespaces(contexts: Mapping[str, Section], cluster_name: str, user_name: str) -> tuple[str, ...]:
    found = set()
    for context in contexts.values():
        if (context.get("cluster"), context.get("user")) == (cluster_name, user_name):
            namespace = text(context, "namespace")
            if namespace is not None and not is_dns_label(namespace):
                raise Refused(f"A context's `namespace` {quoted(namespace)} is no name of a namespace.")
            found.add(namespace)
    return tuple(sorted(name for name in found if name is not None))


def _list(entries: Mapping[str, Section]) -> str:
    names = sorted(entries)
    return ", ".join(quoted(name) for name in names[:5]) + (", …" if names[5:] else "") or "no entry at all"
