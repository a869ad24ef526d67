"""The printed schema: what stands in `schema.graphql`, described in full, every guard in sight."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    DefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    parse,
    print_ast,
)

from schema.build import build_schema

COMMITTED = Path(__file__).parents[2] / "schema.graphql"
CONTRACT = Path(__file__).with_name("contract.graphql")

WITH_FIELDS = (ObjectTypeDefinitionNode, InterfaceTypeDefinitionNode, InputObjectTypeDefinitionNode)
ROOTS = ("Query", "Mutation", "Subscription")


def requires(permission: str, when_denied: str) -> str:
    return f"@requiresPermission(permission: {permission}, whenDenied: {when_denied})"


GUARDS = {
    "Query.hub": "@public",
    "Query.viewer": "@public",
    "Query.node": "@authenticated",
    "Query.instances": requires("VIEW_INSTANCES", "NARROW"),
    "Query.instance": requires("VIEW_INSTANCES", "NARROW"),
    "Query.deployments": requires("VIEW_DEPLOYMENTS", "NARROW"),
    "Query.deployment": requires("VIEW_DEPLOYMENTS", "NARROW"),
    "Query.deploymentSummary": requires("VIEW_DEPLOYMENTS", "NARROW"),
    "Query.credentialProblems": requires("MANAGE_INSTANCES", "REFUSE"),
    "Query.users": requires("MANAGE_USERS", "REFUSE"),
    "Query.user": requires("MANAGE_USERS", "REFUSE"),
    "Query.groupMappings": requires("MANAGE_GROUP_MAPPINGS", "REFUSE"),
    "Query.access": "@authenticated",
    "Query.auditLog": requires("VIEW_AUDIT_LOG", "REFUSE"),
    "Mutation.createDeployment": requires("MANAGE_DEPLOYMENTS", "REFUSE"),
    "Mutation.deleteDeployment": requires("MANAGE_DEPLOYMENTS", "REFUSE"),
    "Mutation.updateUser": requires("MANAGE_USERS", "REFUSE"),
    "Mutation.assignRole": requires("MANAGE_USERS", "REFUSE"),
    "Mutation.revokeRole": requires("MANAGE_USERS", "REFUSE"),
    "Mutation.createGroupMapping": requires("MANAGE_GROUP_MAPPINGS", "REFUSE"),
    "Mutation.updateGroupMapping": requires("MANAGE_GROUP_MAPPINGS", "REFUSE"),
    "Mutation.deleteGroupMapping": requires("MANAGE_GROUP_MAPPINGS", "REFUSE"),
    "Mutation.registerInstance": requires("MANAGE_INSTANCES", "REFUSE"),
    "Mutation.updateInstance": requires("MANAGE_INSTANCES", "REFUSE"),
    "Mutation.removeInstance": requires("MANAGE_INSTANCES", "REFUSE"),
    "Mutation.createAccessToken": "@authenticated",
    "Mutation.revokeAccessToken": "@authenticated",
    "Mutation.revokeSessions": "@authenticated",
    "Subscription.deploymentEvents": requires("VIEW_DEPLOYMENTS", "NARROW"),
    "Subscription.deploymentChanges": requires("VIEW_DEPLOYMENTS", "NARROW"),
    "Subscription.deploymentSummaryEvents": requires("VIEW_DEPLOYMENTS", "NARROW"),
    "Subscription.instanceEvents": requires("VIEW_INSTANCES", "NARROW"),
    "Subscription.viewerEvents": "@authenticated",
    "Subscription.auditEvents": requires("VIEW_AUDIT_LOG", "REFUSE"),
    "Instance.endpoint": requires("MANAGE_INSTANCES", "HIDE"),
    "Instance.credential": requires("MANAGE_INSTANCES", "HIDE"),
    "Grant.createdBy": requires("MANAGE_USERS", "HIDE"),
    "Grant.groupMapping": requires("MANAGE_GROUP_MAPPINGS", "HIDE"),
    "GroupMapping.createdBy": requires("MANAGE_USERS", "HIDE"),
    "User.sessions": "@authenticated",
    "User.accessTokens": "@authenticated",
}
"""Every field with a guard. Who adds one adds it here, and its cases to test_guards.py."""

LATER = frozenset(Path(__file__).with_name("later.txt").read_text().split())
"""Types and fields of the contract that later issues bring. The list only ever shrinks."""


@pytest.fixture(scope="module")
def printed() -> str:
    return build_schema().as_str()


@pytest.fixture(scope="module")
def document(printed: str) -> DocumentNode:
    return parse(printed)


def test_it_is_the_committed_one(printed: str) -> None:
    assert COMMITTED.read_text() == printed + "\n", "run `python -m hub schema > schema.graphql`"


def test_everything_has_a_description(document: DocumentNode) -> None:
    missing = [path for path, node in _described(document) if node.description is None]
    assert missing == []


def test_every_root_field_has_one_guard_and_all_guards_are_in_the_table(document: DocumentNode) -> None:
    guards = {
        path: [print_ast(directive) for directive in node.directives or () if _guards(directive)]
        for path, node in _fields(document)
        if isinstance(node, FieldDefinitionNode)
    }
    found = {path: given for path, given in guards.items() if given or path.split(".")[0] in ROOTS}
    assert found == {path: [guard] for path, guard in GUARDS.items()}


def test_what_is_there_is_there_as_the_contract_says(document: DocumentNode) -> None:
    contract = parse(CONTRACT.read_text())
    promised, given = dict(_promises(contract)), dict(_promises(document))
    assert {path: given.get(path) for path in promised if _due(path)} == {
        path: promise for path, promise in promised.items() if _due(path)
    }


def test_what_is_not_there_yet_is_in_the_contract_and_not_here(document: DocumentNode) -> None:
    promised, given = dict(_promises(parse(CONTRACT.read_text()))), dict(_promises(document))
    assert promised.keys() >= LATER
    assert LATER.isdisjoint(given)


def _due(path: str) -> bool:
    parts = path.split(".")
    return LATER.isdisjoint({parts[0], ".".join(parts[:2])})


def _guards(directive: Any) -> bool:
    return directive.name.value in ("public", "authenticated", "requiresPermission")


def _fields(document: DocumentNode) -> Iterator[tuple[str, FieldDefinitionNode | InputValueDefinitionNode]]:
    for definition in document.definitions:
        if isinstance(definition, WITH_FIELDS):
            for field in definition.fields or ():
                yield f"{definition.name.value}.{field.name.value}", field


def _described(document: DocumentNode) -> Iterator[tuple[str, Any]]:
    """Every definition that can have a description: strawberry gives a directive's arguments none."""
    for definition in document.definitions:
        if hasattr(definition, "description") and hasattr(definition, "name"):
            yield definition.name.value, definition
        if isinstance(definition, EnumTypeDefinitionNode):
            for value in definition.values or ():
                yield f"{definition.name.value}.{value.name.value}", value
    for path, field in _fields(document):
        yield path, field
        for argument in getattr(field, "arguments", None) or ():
            yield f"{path}.{argument.name.value}", argument


def _promises(document: DocumentNode) -> Iterator[tuple[str, str]]:
    """What a client may rely on, by path: kinds, types, defaults, guards, values."""
    for definition in document.definitions:
        yield _name(definition), definition.kind
        if isinstance(definition, EnumTypeDefinitionNode):
            for value in definition.values or ():
                yield f"{definition.name.value}.{value.name.value}", "value"
    for path, field in _fields(document):
        guards = [print_ast(each) for each in field.directives or () if _guards(each)]
        yield path, " ".join([_typed(field), *sorted(guards)]).replace(", whenDenied: REFUSE", "")
        for argument in getattr(field, "arguments", None) or ():
            yield f"{path}.{argument.name.value}", _typed(argument)


def _name(definition: DefinitionNode) -> str:
    name = getattr(definition, "name", None)
    return name.value if name is not None else definition.kind


def _typed(node: FieldDefinitionNode | InputValueDefinitionNode) -> str:
    """A field's or an argument's type, with its default."""
    default = getattr(node, "default_value", None)
    shown = print_ast(node.type)
    return shown if default is None else f"{shown} = {print_ast(default)}"
