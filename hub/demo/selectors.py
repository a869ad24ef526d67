"""Label and field selectors, as the API server reads them."""

import re
from collections.abc import Callable, Mapping

import msgspec

from hub.demo.objects import Stored
from hub.demo.resources import Resource
from hub.demo.status import bad_request

Predicate = Callable[[Mapping[str, str]], bool]

_SET_BASED = re.compile(r"^(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUALITY = re.compile(r"^(?P<key>[^\s!=]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s!=]*)$")
_EXISTENCE = re.compile(r"^(?P<not>!?)\s*(?P<key>[^\s!=(),]+)$")
_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")


class Selection(msgspec.Struct, frozen=True):
    """Which objects a list or watch is about."""

    namespace: str = ""
    """All, if empty."""
    labels: Predicate | None = None
    fields: Predicate | None = None

    @property
    def unfiltered(self) -> bool:
        return self.labels is None and self.fields is None

    def holds(self, stored: Stored | None) -> bool:
        if stored is None or (self.namespace and stored.key[0] != self.namespace):
            return False
        if self.labels is not None and not self.labels(stored.labels):
            return False
        return self.fields is None or self.fields(stored.fields)


def label_selector(text: str) -> Predicate:
    """Whether labels match. Raises a 400 for what can't be parsed."""
    return _all([_label_requirement(part.strip()) for part in _split(text)])


def field_selector(text: str, resource: Resource) -> Predicate:
    """Whether fields match. Raises a 400 for a field that the resource can't be selected by."""
    known = {"metadata.name", "metadata.namespace", *resource.selectable}
    predicates = []
    for part in _split(text):
        match = _EQUALITY.match(part.strip())
        if match is None:
            raise bad_request(f"invalid field selector {text!r}")
        if match["key"] not in known:
            raise bad_request(f"field label not supported: {match['key']}")
        predicates.append(_equality(match["key"], match["operator"], match["value"]))
    return _all(predicates)


def _split(text: str) -> list[str]:
    return [part for part in _OUTSIDE_PARENTHESES.split(text) if part.strip()]


def _label_requirement(part: str) -> Predicate:
    if match := _SET_BASED.match(part):
        values = frozenset(value.strip() for value in match["values"].split(","))
        return _membership(match["key"], values, wanted=match["operator"] == "in")
    if match := _EQUALITY.match(part):
        return _equality(match["key"], match["operator"], match["value"])
    if match := _EXISTENCE.match(part):
        return _existence(match["key"], wanted=not match["not"])
    raise bad_request(f"unable to parse requirement: {part!r}")


def _equality(key: str, operator: str, value: str) -> Predicate:
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value


def _membership(key: str, values: frozenset[str], *, wanted: bool) -> Predicate:
    return lambda labels: (labels.get(key) in values) is wanted


def _existence(key: str, *, wanted: bool) -> Predicate:
    return lambda labels: (key in labels) is wanted


def _all(predicates: list[Predicate]) -> Predicate:
    return lambda values: all(predicate(values) for predicate in predicates)
