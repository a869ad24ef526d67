"""What pages of other sites can do through somebody's browser: nothing, on every route and transport."""

import pytest

from models.database import Database
from tests.support.echo_hub import ADA, FRIEND, JSON, PUBLIC, Hub, a_hub, a_session, a_token, bearer, cookie

LOOPBACK_HOSTS = ["localhost", "LOCALHOST:3001", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:3001"]
FOREIGN_HOSTS = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.2",
    "localhost.",
    "[::2]",
    "localhost:x",
    "",
]
EVERY_PATH = ["/graphql", "/api/things", "/api/auth/providers", "/page", "/nowhere"]


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
async def test_on_loopback_the_hub_is_localhost(hub: Hub, host: str) -> None:
    assert (await hub.get("/page", host=host)).status_code == 200
    assert (await hub.handshake(host=host))["error"] is None


@pytest.mark.parametrize("host", [*FOREIGN_HOSTS, "hub.example.com"])
async def test_another_host_is_refused_everywhere(hub: Hub, host: str) -> None:
    for path in EVERY_PATH:
        assert (await hub.get(path, host=host)).status_code == 421
    assert (await hub.get("/healthz", host=host)).status_code == 200
    if host not in ("", "localhost:x"):  # of which no client makes an address
        assert (await hub.handshake(host=host))["status"] == 421


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("hub.example.com", 200),
        ("HUB.example.com:443", 200),
        *((h, 421) for h in (*LOOPBACK_HOSTS, *FOREIGN_HOSTS)),
    ],
)
async def test_off_loopback_the_hub_is_its_public_name(public_hub: Hub, host: str, status: int) -> None:
    assert (await public_hub.get("/page", host=host)).status_code == status
    assert (await public_hub.get("/healthz", host=host)).status_code == 200


async def test_without_a_public_name_a_forwarded_port_works(shared_database: Database) -> None:
    async with a_hub(shared_database, host="0.0.0.0") as hub:
        assert (await hub.get("/page", host="localhost:8080")).status_code == 200
        assert (await hub.get("/page", host="10.0.0.7:3001")).status_code == 421


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:{port}", "http://127.0.0.1:{port}", "http://[::1]:{port}"],
)
async def test_our_own_pages_are_welcome(hub: Hub, origin: str) -> None:
    origin = origin.format(port=hub.port)
    assert (await hub.get("/page", origin=origin)).status_code == 200
    assert (await hub.handshake(origin=origin))["error"] is None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://localhost",
        "http://localhost:5173",
        "https://localhost:{port}",
        "http://evil.example:{port}",
        "null",
        "",
        PUBLIC,
    ],
)
async def test_other_pages_are_refused_whatever_the_host_says(hub: Hub, origin: str) -> None:
    origin = origin.format(port=hub.port)
    for path in EVERY_PATH:
        assert (await hub.get(path, origin=origin)).status_code == 403
    assert (await hub.handshake(origin=origin))["status"] == 403
    assert (await hub.get("/page", origin=origin, host=origin.rpartition("/")[2] or "x")).status_code in (
        403,
        421,
    )


async def test_two_origins_are_none_of_ours(hub: Hub) -> None:
    ours = f"http://localhost:{hub.port}"
    response = await hub.client.get("/page", headers=[("origin", ours), ("origin", ours)])
    assert response.status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (PUBLIC, 200),
        (FRIEND, 200),
        ("http://hub.example.com", 403),
        ("https://hub.example.com:8443", 403),
        ("https://ui.example.com.evil.example", 403),
        ("http://localhost:3001", 403),
    ],
)
async def test_off_loopback_origins_are_ours_and_allowed_ones(
    public_hub: Hub, origin: str, status: int
) -> None:
    response = await public_hub.get("/page", origin=origin, host="hub.example.com")
    handshake = await public_hub.handshake(origin=origin, host="hub.example.com")
    assert response.status_code == status
    assert handshake.get("status", 200) == status


async def test_allowed_pages_may_read_the_api(public_hub: Hub) -> None:
    common = {"host": "hub.example.com", "origin": FRIEND}
    for path in ("/graphql", "/api/things"):
        preflight = await public_hub.client.options(
            path,
            headers=common
            | {
                "access-control-request-method": "POST",
                "access-control-request-headers": "content-type,authorization",
            },
        )
        assert preflight.status_code == 200
        answers = [
            preflight,
            await public_hub.get(path, **common),
            await public_hub.post(path, **common),
            await public_hub.post(path, **common, **bearer("bad")),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 403, 401]
        for answer in answers:
            assert answer.headers["access-control-allow-origin"] == FRIEND
            assert answer.headers["access-control-allow-credentials"] == "true"
    page = await public_hub.get("/page", **common)
    assert "access-control-allow-origin" not in page.headers


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, False),
        ({"content-type": "text/plain"}, False),
        ({"content-type": "application/x-www-form-urlencoded"}, False),
        ({"content-type": "multipart/form-data; boundary=x"}, False),
        ({"content-type": "text/plain; application/json"}, False),
        ({"authorization": "Basic YTpi"}, False),
        (JSON, True),
        ({"content-type": "Application/JSON; charset=utf-8"}, True),
        ({"x-hub-request": "1"}, True),
    ],
)
async def test_acting_takes_what_a_foreign_form_cannot_send(
    hub: Hub, headers: dict[str, str], allowed: bool
) -> None:
    session = {**cookie(await a_session(hub.ada)), **headers}
    answers = [
        await hub.post("/graphql", **session),
        await hub.get("/graphql?query={hub}", **session),
        await hub.post("/api/things", **session),
        await hub.client.delete("/api/things", headers=session),
    ]
    assert {answer.status_code for answer in answers} == {200 if allowed else 403}
    harmless = [await hub.get("/api/things", **session), await hub.get("/graphql", **session)]
    if "authorization" not in headers:
        assert {answer.status_code for answer in harmless} == {200}
    assert (await hub.post("/page", **session)).status_code == 200


async def test_a_bearer_needs_no_content_type(hub: Hub) -> None:
    response = await hub.post("/graphql", **bearer(await a_token(hub.ada)))
    assert response.json()["subject"] == ADA.subject
