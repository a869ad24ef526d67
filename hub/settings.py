"""The settings: frozen, one section per concern, judged together before anything starts."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec.structs import replace
from pydantic import SecretStr

from auth.keys import KeyRing, sealing_key, signing_key, stand_in_secret, state_key
from auth.people import Person
from auth.providers.config import SignInConfig
from auth.sessions import LIFETIME
from hub.environment import DEFAULT_SECRET, Network, Variables, is_loopback, is_set, origin, read
from hub.provider_settings import (
    PROVIDER_VARIABLES,
    provider_cautions,
    provider_contradictions,
    sign_in_config,
)
from models.rates import Limit
from models.sealing import Sealer
from models.url import DatabaseUrl, PostgresUrl, SqliteUrl
from schema.limits import DEFAULT_LIMITS, Limits

DATA = Path("./data")
DEMO_DATA = DATA / "demo"
LOCAL_DATA = DATA / "local"
LOOPBACK_EXEC_ALLOW = ("kubelogin", "aws", "aws-iam-authenticator", "gke-gcloud-auth-plugin")

SIGN_INS = Limit("sign-in", 10, timedelta(minutes=1))
REFRESHES = Limit("refresh", 10, timedelta(minutes=1))
NEW_TOKENS = Limit("token creation", 30, timedelta(hours=1))


class SettingsError(Exception):
    """The hub can't start with these settings. Its text names every problem at once."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(["The settings don't work:", *(f"  - {problem}" for problem in problems)]))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class HttpSettings:
    host: str
    port: int
    """0 takes any free one."""
    public_url: str | None
    """AUTH_CALLBACK_URL without a slash at its end: where people find the hub."""
    allowed_origins: tuple[str, ...]
    """Origins of other pages that may call the hub: ALLOWED_ORIGINS."""
    trusted_proxies: tuple[Network, ...] = ()
    """Whose X-Forwarded-For, -Host and -Proto are believed."""

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    @property
    def public_host(self) -> str | None:
        """As a Host header has it, without a port."""
        host = urlsplit(self.public_url).hostname if self.public_url else None
        return f"[{host}]" if host and ":" in host else host

    @property
    def public_origin(self) -> str | None:
        return origin(self.public_url) if self.public_url else None

    @property
    def secure(self) -> bool:
        """Whether browsers reach the hub by https, so that cookies may insist on it."""
        return self.public_url is not None and self.public_url.startswith("https:")


@dataclass(frozen=True, kw_only=True)
class AuthSettings:
    session_secret: str | None = field(repr=False)
    """None: a random key in `stand_in_path` stands for it."""
    session_secret_previous: str | None = field(repr=False)
    stand_in_path: Path
    administrators: frozenset[Person]
    providers: tuple[str, ...]
    """Those enabled, in the order of the sign-in page."""
    sign_in: SignInConfig = field(default_factory=SignInConfig)
    encryption_key: str | None = field(repr=False, default=None)
    """None: the session secret stands for it."""
    encryption_key_previous: str | None = field(repr=False, default=None)
    access_lifetime: timedelta = LIFETIME
    """Of a session's access token; no variable sets it."""
    session_max_age: timedelta = timedelta(days=30)
    """When a session ends, however often it is refreshed."""
    group_max_age: timedelta = timedelta(hours=24)
    """Groups that were read longer ago grant nothing."""

    def key_ring(self) -> KeyRing:
        """The signing keys. Writes the stand-in key if there is neither it nor a SESSION_SECRET."""
        previous = self.session_secret_previous
        return KeyRing(
            signing_key(self._session_secret()), None if previous is None else signing_key(previous)
        )

    def state_keys(self) -> KeyRing:
        """For the cookies of sign-ins that are under way."""
        previous = self.session_secret_previous
        return KeyRing(state_key(self._session_secret()), None if previous is None else state_key(previous))

    def sealer(self) -> Sealer:
        """Seals with ENCRYPTION_KEY, else by the session secret, and opens what any of the others sealed:
        so a key can be changed, or set for the first time, before `rekey` has run."""
        session = self._session_secret()
        current = self.encryption_key or session
        others = {self.encryption_key_previous, session, self.session_secret_previous} - {None, current}
        return Sealer(sealing_key(current), tuple(map(sealing_key, filter(None, others))))

    def _session_secret(self) -> str:
        return self.session_secret or stand_in_secret(self.stand_in_path)


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    url: DatabaseUrl
    listen_url: PostgresUrl | None = None
    """Where to listen for other replicas' changes, if a pooler stands at `url`."""


@dataclass(frozen=True, kw_only=True)
class CredentialsSettings:
    path: Path
    exec_allow: frozenset[str]
    """Names of exec plugins that a kubeconfig may run."""


@dataclass(frozen=True, kw_only=True)
class GraphqlSettings:
    introspection: bool | None
    """Whether everybody (True) or nobody (False) may introspect; None: whoever has signed in."""
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, kw_only=True)
class RateSettings:
    """How often something may be tried, over all replicas."""

    sign_in: Limit = SIGN_INS
    """By address, on the routes of sign-in and of the demo."""
    refresh: Limit = REFRESHES
    """By session."""
    tokens: Limit = NEW_TOKENS
    """By account."""


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    retention: timedelta = timedelta(days=90)
    """Older entries are deleted."""


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    format: Literal["text", "json"]
    level: Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    hub_mode: bool
    demo: bool
    http: HttpSettings
    auth: AuthSettings
    database: DatabaseSettings
    credentials: CredentialsSettings
    graphql: GraphqlSettings
    log: LogSettings
    rates: RateSettings = field(default_factory=RateSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    warnings: tuple[str, ...]
    """What works, but perhaps not as intended; to be logged at the start."""
    local: bool = False
    """Local mode: one person, one instance."""


def load_settings(*, demo: bool = False, local: bool = False) -> Settings:
    """Read the environment. Raises `SettingsError`.

    The demo takes nothing of the portal from it, nor does local mode: their state stands in `./data/demo` and
    `./data/local`, so that a DATABASE_URL that is set for the portal stays the portal's.
    """
    variables, problems = read(_fixed(demo=demo, local=local))
    faulty = {problem.partition(":")[0] for problem in problems}
    # A malformed one was read as if it weren't set: that needn't be said too.
    found = _contradictions(variables, demo=demo, local=local)
    problems += (text for text in found if text.split()[0] not in faulty)
    if problems:
        raise SettingsError(tuple(problems))
    return _assemble(variables, demo=demo, local=local)


def is_local() -> bool:
    """Whether HUB_MODE says local mode. Raises `SettingsError` if it says neither."""
    variables, problems = read({})
    if said := tuple(problem for problem in problems if problem.startswith("HUB_MODE:")):
        raise SettingsError(said)
    return not variables.hub_mode


def _fixed(*, demo: bool, local: bool) -> dict[str, Any]:
    if demo:
        return {**_apart(DEMO_DATA), "hub_mode": True, "credentials_exec_allow": ()}
    return {**_apart(LOCAL_DATA), "hub_mode": False} if local else {}


def _apart(state: Path) -> dict[str, Any]:
    return {
        **{name: Variables.model_fields[name].default for name in PROVIDER_VARIABLES},
        "database_url": SqliteUrl(path=state / "hub.db"),
        "credentials_path": state / "credentials",
        "session_secret": DEFAULT_SECRET,
        "database_listen_url": None,
        "session_secret_previous": None,
        "encryption_key": None,
        "encryption_key_previous": None,
        "enabled_auth_providers": (),
        "hub_admins": (),
        "auth_callback_url": None,
    }


def _contradictions(variables: Variables, *, demo: bool, local: bool) -> Iterator[str]:
    secret, previous = _secret(variables), variables.session_secret_previous
    if demo and not is_loopback(variables.host):
        yield f"HOST: the demo answers on loopback alone, and {variables.host!r} isn't: leave HOST out"
    elif local and not is_loopback(variables.host):
        yield (
            f"HOST: nobody signs in to local mode, so it answers on loopback alone, and {variables.host!r} "
            "isn't: leave HOST out, or set HUB_MODE=true for the portal"
        )
    elif variables.hub_mode and secret is None and not is_loopback(variables.host):
        yield (
            f"SESSION_SECRET isn't set (the default is public), and HOST {variables.host!r} can be reached "
            "from other machines: set it, or SESSION_SECRET_FILE, to 32 or more random characters"
        )
    if previous is not None and previous.get_secret_value() in (secret, DEFAULT_SECRET):
        yield "SESSION_SECRET_PREVIOUS is the present SESSION_SECRET or the public default: leave it out"
    if variables.hub_mode:
        yield from provider_contradictions(variables)
    yield from _contradicting_keys(variables)
    if variables.database_listen_url and isinstance(variables.database_url, SqliteUrl):
        yield "DATABASE_LISTEN_URL is for PostgreSQL, and DATABASE_URL is a file: leave it out"
    if variables.credentials_path.exists() and not variables.credentials_path.is_dir():
        yield f"CREDENTIALS_PATH: {variables.credentials_path} isn't a directory"


def _contradicting_keys(variables: Variables) -> Iterator[str]:
    key, previous = _plain(variables.encryption_key), _plain(variables.encryption_key_previous)
    if key == DEFAULT_SECRET:
        yield "ENCRYPTION_KEY is the public default of SESSION_SECRET: set 32 or more random characters"
    if previous is not None and key is None:
        yield "ENCRYPTION_KEY_PREVIOUS is set without an ENCRYPTION_KEY: set that, or leave both out"
    if previous is not None and previous == key:
        yield "ENCRYPTION_KEY_PREVIOUS is the present ENCRYPTION_KEY: leave it out"


def _cautions(variables: Variables, *, local: bool) -> Iterator[str]:
    if local and is_set("ENABLED_AUTH_PROVIDERS"):
        yield (
            "ENABLED_AUTH_PROVIDERS is set, but HUB_MODE isn't: nobody signs in to local mode; "
            "set HUB_MODE=true for the portal"
        )
    secret, loopback = _secret(variables), is_loopback(variables.host)
    if variables.hub_mode and not variables.enabled_auth_providers:
        yield "ENABLED_AUTH_PROVIDERS is empty: nobody can sign in; access tokens work"
    if variables.hub_mode:
        yield from provider_cautions(variables)
    if secret is not None and len(secret) < 32:
        yield "SESSION_SECRET has fewer than 32 characters: whoever guesses it can sign in as anybody"
    key = _plain(variables.encryption_key)
    if key is not None and len(key) < 32:
        yield "ENCRYPTION_KEY has fewer than 32 characters: whoever guesses it can read what is sealed"
    if not loopback and variables.auth_callback_url is None:
        yield "AUTH_CALLBACK_URL isn't set: only localhost is answered; set it to the address that people use"
    if not loopback and (variables.auth_callback_url or "").startswith("http:"):
        yield "AUTH_CALLBACK_URL is http: sessions and tokens cross the network in the clear"


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _secret(variables: Variables) -> str | None:
    secret = variables.session_secret.get_secret_value()
    return None if secret == DEFAULT_SECRET else secret


def _database(variables: Variables) -> DatabaseSettings:
    """That listening has an address of its own means that a pooler stands at the other."""
    url, listen_url = variables.database_url, variables.database_listen_url
    if isinstance(url, PostgresUrl) and listen_url is not None:
        url = url.behind_pooler()
    return DatabaseSettings(url=url, listen_url=listen_url)


def _rates(variables: Variables) -> RateSettings:
    return RateSettings(
        sign_in=replace(SIGN_INS, times=variables.rate_limit_sign_in),
        refresh=replace(REFRESHES, times=variables.rate_limit_refresh),
        tokens=replace(NEW_TOKENS, times=variables.rate_limit_tokens),
    )


def _limits(variables: Variables) -> Limits:
    return Limits(**{each.name: getattr(variables, f"hub_limit_{each.name}") for each in fields(Limits)})


def _assemble(variables: Variables, *, demo: bool, local: bool) -> Settings:
    allow = variables.credentials_exec_allow
    if allow is None:
        allow = LOOPBACK_EXEC_ALLOW if is_loopback(variables.host) else ()
    return Settings(
        hub_mode=variables.hub_mode,
        demo=demo,
        http=HttpSettings(
            host=variables.host,
            port=variables.port,
            public_url=variables.auth_callback_url,
            allowed_origins=variables.allowed_origins,
            trusted_proxies=variables.trusted_proxies,
        ),
        auth=AuthSettings(
            session_secret=_secret(variables),
            session_secret_previous=_plain(variables.session_secret_previous),
            encryption_key=_plain(variables.encryption_key),
            encryption_key_previous=_plain(variables.encryption_key_previous),
            session_max_age=variables.session_max_age,
            group_max_age=variables.group_max_age,
            stand_in_path=(DEMO_DATA if demo else LOCAL_DATA if local else DATA) / "session.key",
            administrators=frozenset(variables.hub_admins),
            providers=tuple(dict.fromkeys(variables.enabled_auth_providers)),
            sign_in=sign_in_config(variables) if variables.hub_mode else SignInConfig(),
        ),
        database=_database(variables),
        credentials=CredentialsSettings(path=variables.credentials_path, exec_allow=frozenset(allow)),
        graphql=GraphqlSettings(introspection=variables.hub_allow_introspection, limits=_limits(variables)),
        rates=_rates(variables),
        audit=AuditSettings(retention=variables.audit_retention),
        log=LogSettings(format=variables.log_format, level=variables.log_level),
        warnings=() if demo else tuple(_cautions(variables, local=local)),
        local=local,
    )
