"""GraphQL over HTTP, judged by others: the audits of npm's graphql-http."""

import asyncio
import json
from pathlib import Path

import pytest

from auth.permissions import Role
from tests.support.hub import running
from tests.support.node import CLIENTS

pytestmark = pytest.mark.node


async def test_every_audit_passes(tmp_path: Path, node_clients: str) -> None:
    async with running(tmp_path) as hub:
        token = await hub.token("viewer", Role.VIEWER)
        asked = json.dumps({"url": f"http://127.0.0.1:{hub.port}/graphql", "token": token})
        process = await asyncio.create_subprocess_exec(
            node_clients, str(CLIENTS / "audit.mjs"), asked, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
    assert json.loads(printed) == {"run": 61, "failed": []}
