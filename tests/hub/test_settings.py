"""Settings by what somebody sets in the environment, and what they are told."""

import os
import stat
from dataclasses import Field, fields
from datetime import timedelta
from pathlib import Path

import pytest

from auth.identity import Provider
from auth.keys import sealing_key
from auth.people import Person
from auth.providers.config import EntraConfig, GithubConfig, OidcConfig, SignInConfig
from hub.environment import DEFAULT_SECRET, FROM_FILES, forget_secrets
from hub.settings import SettingsError, load_settings
from models.url import PostgresUrl, SqliteUrl
from schema.limits import Limits

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
SECRET = "0123456789abcdef0123456789abcdef"


pytestmark = pytest.mark.usefixtures("nothing_set")


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def problems() -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert all(problem in str(refused.value) for problem in refused.value.problems)
    return refused.value.problems


def test_without_any_the_missions_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings()
    assert not settings.hub_mode
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 3001)
    assert settings.database.url == SqliteUrl(path=Path("data/kubefoundry.db"))
    assert settings.credentials.path == Path("credentials")
    assert settings.credentials.exec_allow == {
        "kubelogin",
        "aws",
        "aws-iam-authenticator",
        "gke-gcloud-auth-plugin",
    }
    assert settings.warnings == ()
    assert list(tmp_path.iterdir()) == []


def test_everything_set(monkeypatch: pytest.MonkeyPatch) -> None:
    given(
        monkeypatch,
        HUB_MODE="1",
        HOST="0.0.0.0",
        PORT="8080",
        SESSION_SECRET=SECRET,
        AUTH_CALLBACK_URL="https://Hub.Example.com/",
        ALLOWED_ORIGINS="https://UI.example.com:443, http://localhost:5173",
        HUB_ADMINS=f"entra:{TENANT}/{TENANT},github:1001, oidc:https://id.example.com#sub",
        ENABLED_AUTH_PROVIDERS="Entra,github,oidc",
        AZURE_TENANT_ID=TENANT.upper(),
        AZURE_CLIENT_ID="hub",
        AZURE_CLIENT_SECRET=SECRET,
        AZURE_AUTHORITY="https://login.microsoftonline.us/",
        GITHUB_CLIENT_ID="hub",
        GITHUB_CLIENT_SECRET=SECRET,
        GITHUB_URL="https://github.example.com/",
        ALLOWED_GITHUB_ORGS="9919, 1",
        OIDC_ISSUER="https://id.example.com/",
        OIDC_CLIENT_ID="hub",
        OIDC_CLIENT_SECRET=SECRET,
        OIDC_NAME="Example",
        OIDC_SCOPES="openid groups",
        ALLOWED_EMAIL_DOMAINS="Example.com",
        HUB_ALLOW_INTROSPECTION="false",
        LOG_FORMAT="JSON",
        LOG_LEVEL="DEBUG",
        WEB_CONCURRENCY="1",
    )
    settings = load_settings()
    assert settings.hub_mode
    assert not settings.http.loopback
    assert settings.http.secure
    assert settings.http.public_host == "hub.example.com"
    assert settings.http.public_origin == "https://hub.example.com"
    assert settings.http.allowed_origins == ("https://ui.example.com", "http://localhost:5173")
    assert settings.auth.administrators == {
        Person(Provider.ENTRA, f"{TENANT}/{TENANT}"),
        Person(Provider.GITHUB, "1001"),
        Person(Provider.OIDC, "https://id.example.com#sub"),
    }
    assert settings.credentials.exec_allow == frozenset()
    assert settings.graphql.introspection is False
    assert (settings.log.format, settings.log.level) == ("json", "debug")
    assert settings.auth.providers == ("entra", "github", "oidc")
    assert settings.auth.sign_in == SignInConfig(
        entra=EntraConfig(
            tenant=TENANT,
            client_id="hub",
            client_secret=SECRET,
            authority="https://login.microsoftonline.us",
        ),
        github=GithubConfig(
            client_id="hub",
            client_secret=SECRET,
            url="https://github.example.com",
            allowed_orgs=frozenset({"1", "9919"}),
        ),
        oidc=OidcConfig(
            issuer="https://id.example.com/",
            client_id="hub",
            client_secret=SECRET,
            name="Example",
            scopes=("openid", "groups"),
        ),
        allowed_email_domains=frozenset({"example.com"}),
    )
    assert SECRET not in repr(settings)
    assert settings.warnings == ()


def test_one_message_names_every_mistake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    given(
        monkeypatch,
        HUB_MODE="1",
        HOST="0.0.0.0",
        PORT="eighty",
        DATABASE_URL="mysql://hub:hunter2@db/hub",
        ENABLED_AUTH_PROVIDERS="entra,google",
        HUB_ADMINS="github:octocat",
        WEB_CONCURRENCY="4",
        SESSION_SECRET=DEFAULT_SECRET,
        ALLOWED_ORIGINS="https://ui.example.com/app,ui.example.com",
        CREDENTIALS_PATH=str(tmp_path / "secret"),
        AUTH_CALLBACK_URL="hub.example.com",
    )
    found = problems()
    for expected in (
        "PORT: 'eighty' isn't a port number",
        "DATABASE_URL: mysql:// is no database that the hub knows",
        "ENABLED_AUTH_PROVIDERS: 'google' isn't entra, github or oidc",
        "HUB_ADMINS: 'github:octocat' names no person: write github:<numeric id>",
        "WEB_CONCURRENCY: '4' isn't 1, and can't be: for more cores, run replicas",
        "SESSION_SECRET isn't set (the default is public), and HOST '0.0.0.0'",
        "ALLOWED_ORIGINS: 'https://ui.example.com/app' has a path",
        "ALLOWED_ORIGINS: 'ui.example.com' isn't an address",
        "CREDENTIALS_PATH:",
        "AUTH_CALLBACK_URL: 'hub.example.com' isn't an address",
    ):
        assert len([problem for problem in found if problem.startswith(expected)]) == 1, (expected, found)
    assert len(found) == 10
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_CALLBACK_URL", "https://user@hub.example.com"),
        ("AUTH_CALLBACK_URL", "https://hub.example.com?x=1"),
        ("AUTH_CALLBACK_URL", "https://hub.example.com/api/auth/callback/github"),
        ("AUTH_CALLBACK_URL", "https://hub.example.com:port"),
        ("AUTH_CALLBACK_URL", "ftp://hub.example.com"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "null"),
        ("HUB_ADMINS", "demo:admin"),
        ("CREDENTIALS_EXEC_ALLOW", "/usr/bin/kubelogin"),
        ("HUB_MODE", "perhaps"),
        ("LOG_FORMAT", "xml"),
        ("SESSION_SECRET_PREVIOUS", DEFAULT_SECRET),
        ("DATABASE_LISTEN_URL", "sqlite://hub.db"),
        ("DATABASE_LISTEN_URL", "postgres://hub@db/hub"),  # beside an SQLite DATABASE_URL
        ("ENCRYPTION_KEY", DEFAULT_SECRET),
        ("ENCRYPTION_KEY_PREVIOUS", SECRET),  # without a present one
        ("SESSION_MAX_AGE", "30 days"),
        ("SESSION_MAX_AGE", "0d"),
        ("GROUP_MAX_AGE", "24"),
        ("AUDIT_RETENTION", "-1d"),
        ("RATE_LIMIT_SIGN_IN", "0"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "ingress.example.com"),
    ],
)
def test_one_mistake_alone(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    given(monkeypatch, **{name: value})
    (problem,) = problems()
    assert problem.startswith(name)


def test_times_rates_proxies_and_where_to_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = load_settings()
    assert (usual.auth.session_max_age, usual.auth.group_max_age) == (timedelta(days=30), timedelta(days=1))
    assert usual.audit.retention == timedelta(days=90)
    assert usual.http.trusted_proxies == ()
    rates = usual.rates
    assert (rates.sign_in.times, rates.sign_in.per) == (10, timedelta(minutes=1))
    assert (rates.refresh.times, rates.refresh.per) == (10, timedelta(minutes=1))
    assert (rates.tokens.times, rates.tokens.per) == (30, timedelta(hours=1))
    given(
        monkeypatch,
        DATABASE_URL="postgres://hub@pooler:6432/hub",
        DATABASE_LISTEN_URL="postgres://hub@db/hub",
        SESSION_MAX_AGE="12h",
        GROUP_MAX_AGE="90s",
        AUDIT_RETENTION="52w",
        RATE_LIMIT_SIGN_IN="5",
        RATE_LIMIT_REFRESH="6",
        RATE_LIMIT_TOKENS="7",
        TRUSTED_PROXIES="10.0.0.0/8, 192.0.2.7, fd00::/8",
    )
    settings = load_settings()
    assert str(settings.database.listen_url) == "the PostgreSQL database db/hub"
    assert isinstance(settings.database.url, PostgresUrl)
    assert settings.database.url.pooled
    assert (settings.auth.session_max_age, settings.auth.group_max_age) == (
        timedelta(hours=12),
        timedelta(seconds=90),
    )
    assert settings.audit.retention == timedelta(weeks=52)
    rates = settings.rates
    assert (rates.sign_in.times, rates.refresh.times, rates.tokens.times) == (5, 6, 7)
    assert list(map(str, settings.http.trusted_proxies)) == ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"]


def test_what_was_sealed_opens_while_keys_are_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Sealed without an ENCRYPTION_KEY, then with the first one; opened after both secrets were changed."""
    first, second, other = "the first key" * 3, "the second key" * 3, "another session secret" * 2
    given(monkeypatch, SESSION_SECRET=SECRET)
    by_session_secret = load_settings().auth.sealer().seal("text", row_id="ses_1")
    given(monkeypatch, ENCRYPTION_KEY=first)
    by_first = load_settings().auth.sealer().seal("text", row_id="ses_1")
    given(monkeypatch, ENCRYPTION_KEY_PREVIOUS=first, SESSION_SECRET_PREVIOUS=SECRET, SESSION_SECRET=other)
    (tmp_path / "key").write_text(second)
    monkeypatch.delenv("ENCRYPTION_KEY")
    given(monkeypatch, ENCRYPTION_KEY_FILE=str(tmp_path / "key"))
    sealer = load_settings().auth.sealer()
    for sealed in (by_session_secret, by_first):
        assert sealer.open(sealed, row_id="ses_1") == "text"
        assert not sealer.is_current(sealed)
    assert sealer.current == sealing_key(second)
    forget_secrets()
    assert {"SESSION_SECRET", "ENCRYPTION_KEY_PREVIOUS"}.isdisjoint(os.environ)


def test_a_short_encryption_key_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, ENCRYPTION_KEY="short")
    (warning,) = load_settings().warnings
    assert warning.startswith("ENCRYPTION_KEY has fewer than 32 characters")


def test_every_secret_may_come_from_a_file() -> None:
    assert {"azure_client_secret", "encryption_key_previous", "database_listen_url"} <= set(FROM_FILES)


ENTRA = {
    "HUB_MODE": "true",
    "ENABLED_AUTH_PROVIDERS": "entra",
    "AZURE_TENANT_ID": TENANT,
    "AZURE_CLIENT_ID": "hub",
    "AZURE_CLIENT_SECRET": SECRET,
}


def test_what_a_provider_lacks_is_named_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, HUB_MODE="true", ENABLED_AUTH_PROVIDERS="github,entra,oidc")
    assert sorted(problem.partition(" ")[0] for problem in problems()) == [
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_TENANT_ID",
        "GITHUB_CLIENT_ID",
        "GITHUB_CLIENT_SECRET",
        "OIDC_CLIENT_ID",
        "OIDC_CLIENT_SECRET",
        "OIDC_ISSUER",
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AZURE_TENANT_ID", "common", "personal accounts"),
        ("AZURE_TENANT_ID", "your-tenant-id", "no tenant id"),
        ("AZURE_TENANT_ID", "organizations", "AZURE_ALLOWED_TENANTS isn't set"),
        ("AZURE_ALLOWED_TENANTS", TENANT, "AZURE_TENANT_ID=organizations alone"),
        ("AZURE_ALLOWED_TENANTS", "example.com", "no tenant id"),
        ("AZURE_AUTHORITY", "http://login.example.com", "only https"),
        ("AZURE_GRAPH_URL", "graph.microsoft.com", "isn't an address"),
        ("GITHUB_URL", "http://github.example.com", "only https"),
        ("ALLOWED_GITHUB_ORGS", "github", "numeric id"),
        ("OIDC_ISSUER", "https://id.example.com/.well-known/openid-configuration", "leave off"),
        ("OIDC_SCOPES", "profile email", "lacks openid"),
        ("ALLOWED_EMAIL_DOMAINS", "@example.com", "no domain"),
        ("ALLOWED_EMAIL_DOMAINS", "example.com", "limits nobody here"),
    ],
)
def test_a_wrong_provider_setting_is_told_once(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    given(monkeypatch, **ENTRA | {name: value})
    (problem,) = problems()
    assert said in problem


def test_identity_servers_on_loopback_need_no_https(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **ENTRA, AZURE_AUTHORITY="http://127.0.0.1:4000", AZURE_GRAPH_URL="http://localhost:1")
    entra = load_settings().auth.sign_in.entra
    assert entra is not None
    assert (entra.authority, entra.graph_url) == ("http://127.0.0.1:4000", "http://localhost:1")


def test_in_local_mode_nobody_signs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **ENTRA | {"HUB_MODE": "false", "GITHUB_CLIENT_ID": "hub"})
    settings = load_settings()
    assert settings.auth.sign_in == SignInConfig()
    assert settings.warnings == ()


def test_what_was_set_in_vain_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **ENTRA, GITHUB_CLIENT_ID="hub", ALLOWED_GITHUB_ORGS="1")
    assert [warning.partition(" ")[0] for warning in load_settings().warnings] == [
        "GITHUB_CLIENT_ID",
        "ALLOWED_GITHUB_ORGS",
    ]


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().graphql.limits == Limits()
    given(monkeypatch, HUB_LIMIT_ALIASES="7", HUB_LIMIT_PERSON_OPERATIONS="8")
    assert load_settings().graphql.limits == Limits(aliases=7, person_operations=8)
    given(monkeypatch, HUB_LIMIT_ALIASES="0", HUB_LIMIT_COST="much", HUB_LIMIT_NESTING="201")
    assert sorted(problems()) == [
        "HUB_LIMIT_ALIASES: '0' isn't a whole number, 1 or more",
        "HUB_LIMIT_COST: 'much' isn't a whole number, 1 or more",
        "HUB_LIMIT_NESTING: '201' isn't a whole number, 1 to 200",
    ]


@pytest.mark.parametrize("field", fields(Limits), ids=lambda field: field.name)
def test_every_limit_has_its_variable(monkeypatch: pytest.MonkeyPatch, field: Field[int]) -> None:
    given(monkeypatch, **{f"HUB_LIMIT_{field.name.upper()}": "17"})
    assert load_settings().graphql.limits == Limits(**{field.name: 17})


def test_secrets_and_the_database_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "previous").write_text("the one before")
    (tmp_path / "database").write_text("postgres://hub:hunter2@db/hub\n")
    given(
        monkeypatch,
        SESSION_SECRET_FILE=str(tmp_path / "secret"),
        SESSION_SECRET_PREVIOUS_FILE=str(tmp_path / "previous"),
        DATABASE_URL_FILE=str(tmp_path / "database"),
    )
    settings = load_settings()
    assert settings.auth.session_secret == SECRET
    assert settings.auth.session_secret_previous == "the one before"
    assert str(settings.database.url) == "the PostgreSQL database db/hub"
    for secret in (SECRET, "the one before", "hunter2"):
        assert secret not in repr(settings)


def test_a_variable_beside_its_file_and_files_that_hold_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    given(
        monkeypatch,
        SESSION_SECRET=SECRET,
        SESSION_SECRET_FILE=str(tmp_path / "empty"),
        SESSION_SECRET_PREVIOUS_FILE=str(tmp_path / "missing"),
    )
    both, empty, missing = sorted(problems())
    assert both == "SESSION_SECRET and SESSION_SECRET_FILE are both set: leave one of them out"
    assert empty == f"SESSION_SECRET_FILE: {tmp_path / 'empty'} is empty"
    assert missing.startswith("SESSION_SECRET_PREVIOUS_FILE can't be read: ")


def test_the_default_secret_is_never_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given(monkeypatch, HUB_MODE="true", SESSION_SECRET=DEFAULT_SECRET)
    keys = load_settings().auth.key_ring()
    path = tmp_path / "data" / "session.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_settings().auth.key_ring() == keys
    path.unlink()
    assert load_settings().auth.key_ring() != keys


def test_rotation_keeps_the_previous_key(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, SESSION_SECRET=SECRET)
    before = load_settings().auth.key_ring().current
    given(monkeypatch, SESSION_SECRET="another secret of some length", SESSION_SECRET_PREVIOUS=SECRET)
    assert load_settings().auth.key_ring().find(before.kid) == before


def test_cautions(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, HUB_MODE="true", HOST="::", SESSION_SECRET="short")
    warned = load_settings().warnings
    assert [warning.split(" ")[0] for warning in warned] == [
        "ENABLED_AUTH_PROVIDERS",
        "SESSION_SECRET",
        "AUTH_CALLBACK_URL",
    ]
    given(monkeypatch, AUTH_CALLBACK_URL="http://hub.example.com")
    assert "in the clear" in load_settings().warnings[-1]


def test_a_portal_whose_mode_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(local=True).warnings == ()
    given(monkeypatch, ENABLED_AUTH_PROVIDERS="github")
    (warning,) = load_settings(local=True).warnings
    assert "set HUB_MODE=true" in warning


def test_the_demo_takes_nothing_of_a_real_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    given(
        monkeypatch,
        DATABASE_URL="postgres://hub@production/hub",
        SESSION_SECRET_FILE="/run/secrets/session",
        AZURE_TENANT_ID="common",
        GITHUB_CLIENT_SECRET_FILE="/run/secrets/github",
        CREDENTIALS_PATH="/etc/hub/credentials",
        AUTH_CALLBACK_URL="https://hub.example.com",
        PORT="4000",
    )
    settings = load_settings(demo=True)
    assert settings.demo
    assert settings.hub_mode
    assert settings.database.url == SqliteUrl(path=Path("data/demo/hub.db"))
    assert settings.credentials.path == Path("data/demo/credentials")
    assert settings.auth.stand_in_path == Path("data/demo/session.key")
    assert settings.auth.session_secret is None
    assert settings.http.public_url is None
    assert settings.http.port == 4000
    given(monkeypatch, HOST="0.0.0.0")
    with pytest.raises(SettingsError, match="the demo answers on loopback alone"):
        load_settings(demo=True)
