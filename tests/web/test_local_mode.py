"""The explorer of local mode: it is open, and there is nothing to sign out of."""

from pathlib import Path

import pytest

from hub.demo.cluster import SimulatedCluster
from tests.support.browser import Page
from tests.support.explorer import run, until_ready
from tests.support.hub_process import local_hub
from tests.support.instances import until_instance

pytestmark = pytest.mark.browser


async def test_it_is_open(page: Page, tmp_path: Path, simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.write_kubeconfig(tmp_path / "config")
    async with local_hub(tmp_path, KUBECONFIG=str(tmp_path / "config")) as hub:
        await until_instance(hub, None, "simulated", status="CONNECTED")
        me = (await hub.http.get("/api/auth/me")).json()
        await page.goto(f"http://localhost:{hub.port}/login")
        await page.until("location.pathname === '/graphql'")
        await until_ready(page, me["displayName"])
        assert "admin everywhere" in await page.text()
        assert "Sign out" not in await page.text()
        answer = await run(page, "Instances")
        assert [node["id"] for node in answer["data"]["instances"]["nodes"]] == ["simulated"]
        assert page.complaints == []
