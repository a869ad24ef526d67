"""What an operation costs by its page sizes, found out before it is executed.

    a field            1 for each object that it is selected of
    a page's item      ITEM more, for it has to be found, permitted and ordered
    a list             as many items as LISTS says, else LIST
    a field of BASES   what stands there more: it looks through all deployments or people, or asks a cluster

A connection's `nodes` and `edges` count as often as its `first` says: a literal, a variable's value or
default, else the schema's default. Directives change nothing: what may be skipped is counted.

It is compiled once for each document, and each fragment once, into sums in which page sizes that come from
variables are left open. What has none is a number already.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    NamedTypeNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from schema.measures import MOST, fragments_of, inside_out

ITEM = 10
"""Of an item of a page, besides its fields."""
LIST = 10
"""Items of a list that nothing better is known of."""
LISTS = {
    "Deployment.conditions": 6,
    "Deployment.labels": 6,
    "Deployment.pods": 3,
    "Deployment.viewerCan": 2,
    "DeploymentChanges.events": 200,
    "Pod.containers": 2,
    "User.groups": 50,
}
"""Items that a list usually has, or has at the most where that is known."""
BASES = {
    "Query.deployments": 1_000,
    "Query.users": 1_000,
    "Query.deploymentSummary": 1_000,
    "Mutation.createDeployment": 1_000,
    "Mutation.deleteDeployment": 1_000,
    "Mutation.createGroupMapping": 1_000,
    "Mutation.updateGroupMapping": 1_000,
    "Mutation.deleteGroupMapping": 1_000,
    "Subscription.deploymentSummaryEvents": 1_000,
}
"""Of a field itself."""
DEFAULT_PAGE = 50
LARGEST_PAGE = 1_000
"""A page is never larger; the field itself refuses what is, and says so better than a limit on costs."""


class _Given(NamedTuple):
    variables: Mapping[str, Any]
    fragments: "dict[str, tuple[int, int]]"
    """What those cost that depend on variables."""


_Term = int | Callable[[_Given], int]


class _Cost(NamedTuple):
    """Of a selection: once, and for each item of the page, if it is a connection's."""

    once: _Term
    each: _Term


class _Plan(NamedTuple):
    """Of an operation."""

    cost: _Term
    defaults: Mapping[str, int]
    """Of its variables."""


class Costs:
    """Of a sound document's operations."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments: dict[str, _Cost] = {}
        fragments = fragments_of(document)
        for name in inside_out(fragments):
            fragment = fragments[name]
            self._fragments[name] = self._selections(
                self._on(fragment.type_condition), fragment.selection_set
            )
        self._open = {name: cost for name, cost in self._fragments.items() if not _fixed(cost)}
        self._plans = {
            id(definition): self._plan(definition)
            for definition in document.definitions
            if isinstance(definition, OperationDefinitionNode)
        }

    def of(self, definition: OperationDefinitionNode, variables: Mapping[str, Any]) -> int:
        """The cost of one of the document's operations with its variables as the client gave them."""
        plan = self._plans[id(definition)]
        if isinstance(plan.cost, int):
            return min(plan.cost, MOST)
        given = _Given({**plan.defaults, **variables}, {})
        for name, cost in self._open.items():  # inside out, so what a fragment spreads is there already
            given.fragments[name] = (_value(cost.once, given), _value(cost.each, given))
        return min(plan.cost(given), MOST)

    def _plan(self, definition: OperationDefinitionNode) -> _Plan:
        root = cast("GraphQLCompositeType", self._schema.get_root_type(definition.operation))
        defaults = {
            variable.variable.name.value: _number(variable.default_value.value)
            for variable in definition.variable_definitions or ()
            if isinstance(variable.default_value, IntValueNode)
        }
        return _Plan(self._selections(root, definition.selection_set).once, defaults)

    def _on(self, condition: NamedTypeNode) -> GraphQLCompositeType:
        return cast("GraphQLCompositeType", self._schema.get_type(condition.name.value))

    def _selections(self, parent: GraphQLCompositeType, selection_set: SelectionSetNode) -> _Cost:
        costs = [self._selection(parent, selection) for selection in selection_set.selections]
        return _Cost(_sum(cost.once for cost in costs), _sum(cost.each for cost in costs))

    def _selection(self, parent: GraphQLCompositeType, selection: object) -> _Cost:
        match selection:
            case FieldNode():
                cost = self._field(parent, selection)
                paged = selection.name.value in ("nodes", "edges") and parent.name.endswith("Connection")
                return _Cost(0, cost) if paged else _Cost(cost, 0)
            case FragmentSpreadNode():
                return _reference(selection.name.value, self._fragments[selection.name.value])
            case InlineFragmentNode():
                condition = selection.type_condition
                return self._selections(self._on(condition) if condition else parent, selection.selection_set)
        raise AssertionError(selection)

    def _field(self, parent: GraphQLCompositeType, node: FieldNode) -> _Term:
        definition = cast("GraphQLField", self._schema.get_field(parent, node.name.value))
        coordinate = f"{parent.name}.{node.name.value}"
        one: _Term = 1
        if node.selection_set:
            named = cast("GraphQLCompositeType", get_named_type(definition.type))
            below = self._selections(named, node.selection_set)
            one = _sum((1, below.once, _product(_page(node), below.each)))
        if is_list_type(get_nullable_type(definition.type)):
            paged = parent.name.endswith("Connection") and node.name.value in ("nodes", "edges")
            one = _sum((ITEM, one)) if paged else _product(LISTS.get(coordinate, LIST), one)
        return _sum((BASES.get(coordinate, 0), one))


def _reference(name: str, cost: _Cost) -> _Cost:
    """A fragment's cost where it is spread: a number, or looked up when it is known."""
    if _fixed(cost):
        return cost
    return _Cost(lambda given: given.fragments[name][0], lambda given: given.fragments[name][1])


def _page(node: FieldNode) -> _Term:
    """How many items a connection is asked for."""
    first = next((each for each in node.arguments or () if each.name.value == "first"), None)
    match first:
        case ArgumentNode(value=IntValueNode(value=digits)):
            return _items(_number(digits))
        case ArgumentNode(value=VariableNode(name=name)):
            variable = name.value
            return lambda given: _items(given.variables.get(variable))
    return DEFAULT_PAGE


def _number(digits: str) -> int:
    """Python takes its time for numbers of many digits, and refuses those of more than 4,300."""
    return int(digits) if len(digits) < 10 else MOST


def _items(first: object) -> int:
    """Anything but a number is the default here, or refused before it is asked for."""
    return max(0, min(int(first), LARGEST_PAGE)) if isinstance(first, int | float) else DEFAULT_PAGE


def _fixed(cost: _Cost) -> bool:
    return isinstance(cost.once, int) and isinstance(cost.each, int)


def _value(term: _Term, given: _Given) -> int:
    return term if isinstance(term, int) else term(given)


def _sum(terms: Iterable[_Term]) -> _Term:
    number, calls = 0, []
    for term in terms:
        if isinstance(term, int):
            number = min(number + term, MOST)
        else:
            calls.append(term)
    if len(calls) == 1:
        call = calls[0]
        return lambda given: number + call(given)
    return (lambda given: number + sum(call(given) for call in calls)) if calls else number


def _product(one: _Term, other: _Term) -> _Term:
    if isinstance(one, int) and isinstance(other, int):
        return min(one * other, MOST)
    if 0 in (one, other):
        return 0
    return lambda given: min(_value(one, given) * _value(other, given), MOST)
