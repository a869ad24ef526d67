"""schema.graphql as its clients need it: it breaks none of them, and it keeps to what is usual."""

import asyncio
import shutil
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from tests.support.node import CLIENTS, MODULES

pytestmark = pytest.mark.node

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "schema.graphql"
OPERATIONS = Path("docs/examples/typescript/operations.graphql")
CARE = CLIENTS / "schema"
RELEASED = CARE / "released.graphql"
"""The last release's schema (`make released`)."""
PHASE = "  phase: DeploymentPhase!\n"
"""A field of Deployment."""


async def run(*command: str, cwd: Path = ROOT) -> tuple[bool, str]:
    """Whether a program was content, and what it said."""
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdout=PIPE, stderr=STDOUT)
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return process.returncode == 0, said.decode()


def edited(path: Path, old: str, new: str) -> str:
    text = path.read_text()
    assert old in text, f"{path.name} has changed: what is tested here is no longer in it"
    return text.replace(old, new, 1)


# ------------------------------------------------------------ graphql-inspector


async def test_nothing_that_was_released_is_broken(node_clients: str) -> None:
    unbroken, said = await run(node_clients, str(CARE / "diff.mjs"), str(RELEASED), str(SCHEMA))
    assert unbroken, said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (PHASE, "  stage: DeploymentPhase!\n", "Field 'phase' was removed from object type 'Deployment'"),
        ("  TERMINATING\n", "  ENDING\n", "Enum value 'TERMINATING' was removed from enum 'DeploymentPhase'"),
        (
            "  uid: ID\n",
            "  uid: ID!\n",
            "Input field 'DeleteDeploymentInput.uid' changed type from 'ID' to 'ID!'",
        ),
    ],
    ids=["field removed", "value removed", "input required"],
)
async def test_a_change_that_breaks_clients_is_named(
    old: str, new: str, said: str, tmp_path: Path, node_clients: str
) -> None:
    newer = tmp_path / "newer.graphql"
    newer.write_text(edited(SCHEMA, old, new))
    unbroken, changes = await run(node_clients, str(CARE / "diff.mjs"), str(SCHEMA), str(newer))
    assert not unbroken
    assert f"BREAKING: {said}" in changes.splitlines()


async def test_a_new_field_breaks_nobody(tmp_path: Path, node_clients: str) -> None:
    newer = tmp_path / "newer.graphql"
    newer.write_text(edited(SCHEMA, PHASE, f'{PHASE}\n  "New."\n  more: Int\n'))
    unbroken, changes = await run(node_clients, str(CARE / "diff.mjs"), str(SCHEMA), str(newer))
    assert unbroken
    assert "NON_BREAKING: Field 'more' was added to object type 'Deployment'" in changes.splitlines()


async def test_what_was_deprecated_may_go(tmp_path: Path, node_clients: str) -> None:
    older = tmp_path / "older.graphql"
    older.write_text(
        edited(SCHEMA, PHASE, f'{PHASE}\n  "Old."\n  old: Int @deprecated(reason: "Use phase")\n')
    )
    unbroken, changes = await run(node_clients, str(CARE / "diff.mjs"), str(older), str(SCHEMA))
    assert unbroken
    assert (
        "DANGEROUS: Field 'old' (deprecated) was removed from object type 'Deployment'"
        in changes.splitlines()
    )


# ------------------------------------------------------------ graphql-eslint


async def lint(node: str, cwd: Path) -> tuple[bool, str]:
    eslint = str(MODULES / ".bin" / "eslint")
    config = str(CARE / "eslint.config.mjs")
    return await run(node, eslint, "--config", config, SCHEMA.name, str(OPERATIONS), cwd=cwd)


async def test_schema_and_examples_keep_to_what_is_usual(node_clients: str) -> None:
    clean, said = await lint(node_clients, ROOT)
    assert clean, said


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (SCHEMA.name, '"""A page of deployments."""\n', "", "Description is required for type"),
        (SCHEMA.name, "type Replicas {", "type ReplicaCounts {", 'Unknown type "Replicas"'),
        (SCHEMA.name, "  endCursor: String\n", "  last: String\n", "must contain a field `endCursor`"),
        (str(OPERATIONS), "query Deployments(", "query GetDeployments(", 'should not have "Get" prefix'),
        (str(OPERATIONS), "    totalCount\n", "    total\n", 'Cannot query field "total"'),
    ],
    ids=["no description", "unknown type", "no page info", "name of a query", "unknown field"],
)
async def test_what_is_unusual_is_named(
    path: str, old: str, new: str, said: str, tmp_path: Path, node_clients: str
) -> None:
    shutil.copy(SCHEMA, tmp_path)
    (tmp_path / OPERATIONS).parent.mkdir(parents=True)
    shutil.copy(ROOT / OPERATIONS, tmp_path / OPERATIONS)
    (tmp_path / path).write_text(edited(tmp_path / path, old, new))
    clean, complaint = await lint(node_clients, tmp_path)
    assert not clean
    assert said in complaint


# ------------------------------------------------------------ graphql-codegen


async def test_types_are_made_of_nothing_that_the_schema_lacks(tmp_path: Path, node_clients: str) -> None:
    """What is right with them is shown by test_examples.py, which runs the examples."""
    project = tmp_path / "docs" / "examples" / "typescript"
    shutil.copytree(ROOT / OPERATIONS.parent, project, ignore=shutil.ignore_patterns("node_modules"))
    (project / "node_modules").symlink_to(MODULES)
    (tmp_path / SCHEMA.name).write_text(edited(SCHEMA, PHASE, "  stage: DeploymentPhase!\n"))
    made, said = await run(node_clients, str(MODULES / ".bin" / "graphql-codegen"), cwd=project)
    assert not made
    assert 'Cannot query field "phase" on type "Deployment"' in said
