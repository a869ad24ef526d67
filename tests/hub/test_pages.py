"""The pages' files over HTTP: addresses, headers, caching, and what is said when they were never built."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from hub.pages import page_routes
from tests.support.serving import served


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """What the build leaves, in small."""
    assets = tmp_path / "static" / "assets"
    assets.mkdir(parents=True)
    (assets.parent / "login.html").write_text("<!doctype html><title>Sign in</title>")
    (assets.parent / "favicon.svg").write_text("<svg/>")
    (assets / "login-4f2a.js").write_text("run()")
    (assets / "login-4f2a.js.gz").write_bytes(gzip.compress(b"run()"))
    (assets / "codicon-77aa.ttf").write_bytes(b"\0")
    (tmp_path / "secret.txt").write_text("secret")
    return assets.parent


@pytest.fixture
async def client(static: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        served(Starlette(routes=page_routes(static))) as base,
        httpx2.AsyncClient(base_url=base) as client,
    ):
        yield client


async def test_the_root_leads_to_the_explorer(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/graphql")


async def test_a_page_is_guarded_and_asked_for_anew_each_time(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/login?error=access_denied")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)


async def test_an_asset_is_kept_for_ever_and_comes_compressed(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/assets/login-4f2a.js", headers={"accept-encoding": "gzip"})
    assert answer.text == "run()"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_an_asset_comes_plain_to_whom_gzip_means_nothing(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/assets/login-4f2a.js", headers={"accept-encoding": "identity"})
    assert answer.text == "run()"
    assert "content-encoding" not in answer.headers


async def test_an_unchanged_asset_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    first = await client.get("/assets/codicon-77aa.ttf")
    again = await client.get("/assets/codicon-77aa.ttf", headers={"if-none-match": first.headers["etag"]})
    assert (first.headers["content-type"], again.status_code) == ("font/ttf", 304)


@pytest.mark.parametrize(
    "path", ["/assets/none.js", "/assets/..%2f..%2fsecret.txt", "/assets/../../secret.txt"]
)
async def test_nothing_else_is_served(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_pages_that_were_never_built_say_how_to_build_them(tmp_path: Path) -> None:
    async with served(Starlette(routes=page_routes(tmp_path))) as base, httpx2.AsyncClient() as client:
        answer = await client.get(f"{base}/login")
        asset = await client.get(f"{base}/assets/login-4f2a.js")
    assert (answer.status_code, asset.status_code) == (503, 404)
    assert "make web" in answer.text
