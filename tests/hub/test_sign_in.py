"""Signing in at providers, over HTTP: the way there and back, and every way in which it must not work."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec import structs
from starlette.datastructures import Headers

from auth.keys import KeyRing, state_key
from auth.permissions import Role
from hub.oauth_cookie import LIFETIME, Attempt, AttemptCookies
from hub.settings import SIGN_INS, RateSettings
from models.ids import new_id
from models.tables import GroupMapping, Session, User
from tests.support.github_server import an_organisation
from tests.support.hub import HubUnderTest, hub_settings, running, serving
from tests.support.sign_in import OTHER_TENANT, Providers, Visitor, failure, serving_providers, visiting

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Providers]:
    async with serving_providers() as servers:
        yield servers


@pytest.fixture(scope="module")
async def hub(servers: Providers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HubUnderTest]:
    async with running(tmp_path_factory.mktemp("hub"), sign_in=servers.config) as hub:
        yield hub


@pytest.fixture
def providers(servers: Providers) -> Providers:
    servers.reset()
    return servers


@pytest.fixture
async def visitor(hub: HubUnderTest, providers: Providers) -> AsyncIterator[Visitor]:
    assert providers
    async with visiting(hub) as visitor:
        yield visitor


@pytest.fixture
def entered(hub: HubUnderTest) -> Iterator[None]:
    with hub.running.database.entered():
        yield


async def test_the_ways_to_sign_in(visitor: Visitor, hub: HubUnderTest) -> None:
    offered = (await visitor.http.get("/api/auth/providers")).json()
    assert offered == {
        "providers": [
            {"id": "entra", "name": "Microsoft", "loginUrl": "/api/auth/login/entra"},
            {"id": "github", "name": "GitHub", "loginUrl": "/api/auth/login/github"},
            {"id": "oidc", "name": "Example", "loginUrl": "/api/auth/login/oidc"},
        ]
    }
    told = await hub.data(None, "{ hub { authProviders { provider name loginUrl } } }")
    assert told["hub"]["authProviders"][1] == {
        "provider": "GITHUB",
        "name": "GitHub",
        "loginUrl": "/api/auth/login/github",
    }


@pytest.mark.parametrize(
    ("provider", "name"), [("entra", "Ada"), ("github", "The Octocat"), ("oidc", "ada@example.com")]
)
async def test_somebody_comes_in_and_asks(visitor: Visitor, provider: str, name: str) -> None:
    answer = await visitor.sign_in(provider, returnTo="/graphql?query={hub{version}}")
    assert answer.status_code == 302
    assert answer.headers["location"] == "/graphql?query=%7Bhub%7Bversion%7D%7D"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    asked = await visitor.http.post("/graphql", json={"query": "{ viewer { displayName provider } }"})
    assert asked.json()["data"]["viewer"] == {"displayName": name, "provider": provider.upper()}
    assert set(visitor.http.cookies) == {"hub_session", "hub_refresh"}


async def test_the_way_there(visitor: Visitor, hub: HubUnderTest) -> None:
    answer = await visitor.begin("entra")
    address = parse_qs(urlsplit(answer.headers["location"]).query)
    assert address["redirect_uri"] == [f"http://127.0.0.1:{hub.port}/api/auth/callback/entra"]
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("hub_oauth_")
    assert cookie.endswith("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax")
    assert answer.headers["cache-control"] == "no-store"


async def test_another_account_can_be_asked_for(visitor: Visitor) -> None:
    answer = await visitor.begin("entra", choose="account")
    assert parse_qs(urlsplit(answer.headers["location"]).query)["prompt"] == ["select_account"]


async def test_there_is_no_such_provider(visitor: Visitor) -> None:
    for path in ("/api/auth/login/google", "/api/auth/callback/google", "/api/auth/login/demo"):
        answer = await visitor.http.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "target",
    [
        "https://foreign.invalid/",
        "//foreign.invalid/",
        "/\\foreign.invalid/",
        "\\\\foreign.invalid",
        "/\t/foreign.invalid",
        "/%0d%0aset-cookie:a=b".replace("%0d%0a", "\r\n"),
        "javascript:alert(1)",
        "graphql",
        "",
        "/" + "x" * 2_000,
    ],
)
async def test_nobody_is_led_away_from_this_hub(visitor: Visitor, target: str) -> None:
    answer = await visitor.begin("entra", returnTo=target)
    assert (answer.status_code, answer.json()["error"]["fields"][0]["path"]) == (400, "returnTo")
    assert "set-cookie" not in answer.headers


async def test_a_target_is_judged_after_decoding(visitor: Visitor) -> None:
    for target in ("%2F%2Fforeign.invalid", "%2f%5cforeign.invalid", "%2F%09%2Fforeign.invalid"):
        answer = await visitor.http.get(f"/api/auth/login/entra?returnTo={target}")
        assert answer.status_code == 400
    answer = await visitor.http.get("/api/auth/login/entra?returnTo=%2Flogin%3Fa%3D1")
    assert answer.status_code == 302


async def test_a_wrong_state(visitor: Visitor) -> None:
    address = await visitor.sent_back("entra")
    assert failure(await visitor.http.get(address.replace("state=", "state=x"))) == "state_mismatch"
    assert failure(await visitor.http.get(address + "&state=another")) == "state_mismatch"
    assert (await visitor.http.get(address)).headers["location"] == "/graphql"


async def test_a_sign_in_that_another_browser_began(visitor: Visitor, hub: HubUnderTest) -> None:
    """Login CSRF: the attacker's own callback, opened by somebody else."""
    address = await visitor.sent_back("entra")
    async with visiting(hub) as victim:
        assert failure(await victim.http.get(address)) == "state_mismatch"
        await victim.begin("entra")
        assert failure(await victim.http.get(address)) == "state_mismatch"
        assert "hub_session" not in victim.http.cookies


async def test_a_callback_is_worth_something_once(visitor: Visitor, providers: Providers) -> None:
    address = await visitor.sent_back("entra")
    kept = "; ".join(f"{name}={value}" for name, value in visitor.http.cookies.items())
    assert (await visitor.http.get(address)).headers["location"] == "/graphql"
    assert failure(await visitor.http.get(address)) == "state_mismatch"
    # Nor with the cookie that the browser has since forgotten: the code doesn't even reach the provider.
    visitor.http.cookies.clear()
    exchanged = len(providers.entra.shown)
    assert failure(await visitor.http.get(address, headers={"cookie": kept})) == "state_mismatch"
    assert len(providers.entra.shown) == exchanged


async def test_a_replayed_code(visitor: Visitor) -> None:
    """The code of a sign-in that is over, in the callback of another."""
    first = parse_qs(urlsplit(await visitor.sent_back("entra")).query)
    used = first["code"][0]
    await visitor.http.get(f"/api/auth/callback/entra?code={used}&state={first['state'][0]}")
    second = parse_qs(urlsplit(await visitor.sent_back("entra")).query)
    answer = await visitor.http.get(f"/api/auth/callback/entra?code={used}&state={second['state'][0]}")
    assert failure(answer) == "state_mismatch"


async def test_the_callback_of_another_provider(visitor: Visitor, providers: Providers) -> None:
    address = await visitor.sent_back("entra")
    answer = await visitor.http.get(address.replace("/callback/entra", "/callback/github"))
    assert failure(answer) == "state_mismatch"
    assert providers.github.shown == []
    assert providers.entra.shown == []


async def test_the_callback_of_another_issuer(visitor: Visitor, providers: Providers) -> None:
    providers.entra.callback = {"iss": providers.oidc.issuer}
    assert failure(await visitor.sign_in("entra")) == "invalid_answer"
    assert providers.entra.shown == []


async def test_a_callback_with_nothing_in_it(visitor: Visitor) -> None:
    address = urlsplit(await visitor.sent_back("entra"))
    state = parse_qs(address.query)["state"][0]
    answer = await visitor.http.get(f"{address.path}?state={state}")
    assert failure(answer) == "invalid_answer"
    assert failure(await visitor.http.get(address.path)) == "state_mismatch"


async def test_a_person_who_says_no(visitor: Visitor, providers: Providers) -> None:
    providers.github.refuses = True
    answer = await visitor.sign_in("github", returnTo="/graphql?a=1")
    assert answer.headers["location"] == "/login?error=access_denied&returnTo=%2Fgraphql%3Fa%3D1"


async def test_what_the_page_is_told_and_what_the_log(
    visitor: Visitor, providers: Providers, caplog: pytest.LogCaptureFixture
) -> None:
    providers.entra.lies = {"nonce": "another"}
    assert failure(await visitor.sign_in("entra")) == "invalid_answer"
    assert "signing in by entra failed: Entra ID's token fails a check: invalid_claim" in caplog.text


async def test_no_secret_is_in_the_log(
    visitor: Visitor, providers: Providers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="hub")
    caplog.set_level(logging.DEBUG, logger="auth")
    for name in ("httpx2", "authlib"):  # as hub.logs sets them
        caplog.set_level(logging.INFO, logger=name)
    for lies in ({}, {"aud": "another"}):
        providers.entra.lies = lies
        address = await visitor.sent_back("entra")
        await visitor.http.get(address)
        await visitor.http.get(address)
    shown = providers.entra.shown
    assert len(shown) == 2
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name != "httpx2")
    theirs = "\n".join(
        record.getMessage()
        for record in caplog.records
        if record.name == "httpx2" and str(visitor.http.base_url) not in record.getMessage()
    )
    assert "signing in by entra failed" in ours
    for each in shown:
        for secret in ("code_verifier", "client_secret", "code"):
            assert each[secret] not in ours
        for secret in ("code_verifier", "client_secret"):
            assert each[secret] not in theirs


@pytest.mark.parametrize(
    ("provider", "lies", "code"),
    [
        ("entra", {"tid": OTHER_TENANT}, "not_allowed"),
        ("oidc", {"email_verified": False}, "email_unverified"),
        ("oidc", {"email": "ada@example.org"}, "not_allowed"),
    ],
)
async def test_who_may_not_come_in(
    visitor: Visitor, providers: Providers, provider: str, lies: dict[str, object], code: str
) -> None:
    getattr(providers, provider).lies = lies
    answer = await visitor.sign_in(provider)
    assert failure(answer) == code
    assert "hub_session" not in visitor.http.cookies


@pytest.mark.usefixtures("entered")
async def test_a_deactivated_account(visitor: Visitor, providers: Providers) -> None:
    providers.github.user = {"id": 77, "login": "gone"}
    await visitor.sign_in("github")
    await User.filter(subject="77").update(active=False, display_name="As it was")
    visitor.http.cookies.clear()
    assert failure(await visitor.sign_in("github")) == "account_disabled"
    user = await User.get(subject="77")
    assert user.display_name == "As it was"
    assert await Session.filter(user_id=user.id).count() == 1


async def test_a_provider_that_is_down(visitor: Visitor, providers: Providers) -> None:
    address = await visitor.sent_back("oidc")
    providers.oidc.down = True
    assert failure(await visitor.http.get(address)) == "provider_unavailable"


async def test_two_tabs_sign_in_at_once(visitor: Visitor) -> None:
    first, second = await visitor.sent_back("entra"), await visitor.sent_back("entra", returnTo="/second")
    assert (await visitor.http.get(second)).headers["location"] == "/second"
    assert (await visitor.http.get(first)).headers["location"] == "/graphql"


async def test_attempts_do_not_pile_up(visitor: Visitor) -> None:
    first = await visitor.sent_back("entra")
    for _ in range(8):
        last = await visitor.sent_back("entra")
    assert len([name for name in visitor.http.cookies if name.startswith("hub_oauth_")]) == 4
    assert failure(await visitor.http.get(first)) == "state_mismatch"
    assert (await visitor.http.get(last)).headers["location"] == "/graphql"


@pytest.mark.usefixtures("entered")
async def test_a_new_sign_in_replaces_the_session(visitor: Visitor, providers: Providers) -> None:
    providers.github.user = {"id": 78, "login": "twice"}
    for _ in range(2):
        await visitor.sign_in("github")
    user = await User.get(subject="78")
    rows = await Session.filter(user_id=user.id).order_by("id")
    assert [row.revoked_at is None for row in rows] == [False, True]


@pytest.mark.usefixtures("entered")
async def test_the_providers_token_is_kept_sealed(visitor: Visitor, providers: Providers) -> None:
    providers.github.user = {"id": 79, "login": "sealed"}
    await visitor.sign_in("github")
    user = await User.get(subject="79")
    row = await Session.get(user_id=user.id)
    assert row.provider_token is not None
    assert row.provider_token.startswith("v1.")
    assert not any(token in row.provider_token for token in providers.github._tokens)


@pytest.mark.usefixtures("entered")
async def test_groups_give_what_is_mapped(visitor: Visitor, providers: Providers) -> None:
    providers.github.organisations = [an_organisation(9919)]
    await GroupMapping.create(
        id=new_id("map"), provider="github", group_id="9919", group_name="Us", role=int(Role.VIEWER)
    )
    await visitor.sign_in("github")
    me = (await visitor.http.get("/api/auth/me")).json()
    assert [(grant["role"], grant["source"]) for grant in me["grants"]] == [("VIEWER", "GROUP")]
    providers.github.organisations = []
    await visitor.sign_in("github")
    assert (await visitor.http.get("/api/auth/me")).json()["grants"] == []


async def test_a_sign_in_happens_wholly_or_not_at_all(providers: Providers, tmp_path: Path) -> None:
    async with running(tmp_path, sign_in=providers.config) as hub, visiting(hub) as visitor:
        with closing(sqlite3.connect(tmp_path / "hub.db")) as database:
            database.execute(
                "CREATE TRIGGER full BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
            answer = await visitor.sign_in("entra")
            assert answer.status_code == 500
            assert "full" not in answer.text
            written = [
                database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("users", "memberships", "sessions")
            ]
    assert written == [0, 0, 0]


async def test_a_forged_forwarded_host_is_ignored(visitor: Visitor, hub: HubUnderTest) -> None:
    forged = {"x-forwarded-host": "foreign.invalid", "x-forwarded-proto": "https"}
    answer = await visitor.http.get("/api/auth/login/entra", headers=forged)
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["redirect_uri"] == [f"http://127.0.0.1:{hub.port}/api/auth/callback/entra"]


async def test_a_trusted_proxy_says_how_people_come(providers: Providers, tmp_path: Path) -> None:
    forwarded = {"x-forwarded-host": "localhost:8443", "x-forwarded-proto": "https"}
    async with (
        running(tmp_path, sign_in=providers.config, trusted_proxies=("127.0.0.0/8",)) as hub,
        visiting(hub) as visitor,
    ):
        answer = await visitor.http.get("/api/auth/login/entra", headers=forwarded)
        asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["redirect_uri"] == ["https://localhost:8443/api/auth/callback/entra"]


async def test_by_https_cookies_are_locked_to_the_host(providers: Providers, tmp_path: Path) -> None:
    public = {"host": "hub.example.com", "x-forwarded-host": "foreign.invalid"}
    settings = hub_settings(tmp_path, sign_in=providers.config)
    settings = replace(settings, http=replace(settings.http, public_url="https://hub.example.com"))
    async with (
        serving(settings) as hub,
        visiting(hub) as visitor,
    ):
        answer = await visitor.http.get("/api/auth/login/entra", headers=public)
        asked = parse_qs(urlsplit(answer.headers["location"]).query)
        assert asked["redirect_uri"] == ["https://hub.example.com/api/auth/callback/entra"]
        (cookie,) = answer.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-hub_oauth_")
        assert cookie.endswith("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure")


async def test_an_address_may_begin_so_many_times_a_minute(providers: Providers, tmp_path: Path) -> None:
    settings = hub_settings(tmp_path, sign_in=providers.config)
    settings = replace(settings, rates=RateSettings(sign_in=structs.replace(SIGN_INS, times=2)))
    async with serving(settings) as hub, visiting(hub) as visitor:
        answers = [await visitor.begin("entra") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [302, 302, 429]
        assert answers[2].json()["error"]["code"] == "RATE_LIMITED"
        assert 0 < int(answers[2].headers["retry-after"]) <= 60
        in_browser = await visitor.http.get("/api/auth/login/entra", headers=HTML)
        assert failure(in_browser) == "rate_limited"


class TestAttemptCookies:
    KEY, OTHER = state_key("one"), state_key("two")
    NOW = datetime(2026, 11, 28, tzinfo=UTC)

    def attempt(self) -> Attempt:
        return Attempt(
            provider="entra",
            state="state",
            verifier="verifier",
            nonce="nonce",
            redirect_uri="http://localhost/",
            return_to="/",
            began_at=self.NOW,
        )

    def sent(self, cookies: AttemptCookies) -> Headers:
        (cookie,) = cookies.setting(self.attempt(), Headers())
        return Headers({"cookie": cookie.partition(";")[0]})

    def test_it_lasts_ten_minutes(self) -> None:
        cookies = AttemptCookies(keys=KeyRing(self.KEY), secure=True)
        sent = self.sent(cookies)
        assert cookies.read("state", sent, now=self.NOW + LIFETIME - timedelta(seconds=1)) == self.attempt()
        assert cookies.read("state", sent, now=self.NOW + LIFETIME) is None
        assert cookies.read("another", sent, now=self.NOW) is None

    def test_the_key_can_be_changed_meanwhile(self) -> None:
        before = self.sent(AttemptCookies(keys=KeyRing(self.KEY), secure=True))
        rotated = AttemptCookies(keys=KeyRing(self.OTHER, previous=self.KEY), secure=True)
        assert rotated.read("state", before, now=self.NOW) == self.attempt()
        assert (
            AttemptCookies(keys=KeyRing(self.OTHER), secure=True).read("state", before, now=self.NOW) is None
        )

    def test_nobody_else_can_make_one(self) -> None:
        cookies = AttemptCookies(keys=KeyRing(self.KEY), secure=True)
        name, _, value = self.sent(cookies)["cookie"].partition("=")
        kid, body, mac = value.split(".")
        for forged in (
            f"{kid}.{body}A.{mac}",
            f"{kid}.{body}.{mac[:-1]}0",
            f"{kid}.{body}.",
            f"{self.OTHER.kid}.{body}.{mac}",
            f"{kid}.{body}",
            "",
        ):
            assert cookies.read("state", Headers({"cookie": f"{name}={forged}"}), now=self.NOW) is None
