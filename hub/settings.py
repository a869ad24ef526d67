"""The settings: frozen, one section per concern, judged together before anything starts."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from auth.keys import KeyRing, signing_key, stand_in_secret
from auth.people import Person
from auth.providers.config import SignInConfig
from hub.environment import DEFAULT_SECRET, Variables, is_loopback, origin, read
from hub.provider_settings import (
    PROVIDER_VARIABLES,
    provider_cautions,
    provider_contradictions,
    sign_in_config,
)
from models.url import DatabaseUrl, SqliteUrl
from schema.limits import DEFAULT_LIMITS, Limits

DATA = Path("./data")
DEMO_DATA = DATA / "demo"
LOOPBACK_EXEC_ALLOW = ("kubelogin", "aws", "aws-iam-authenticator", "gke-gcloud-auth-plugin")


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

    def key_ring(self) -> KeyRing:
        """The signing keys. Writes the stand-in key if there is neither it nor a SESSION_SECRET."""
        previous = self.session_secret_previous
        return KeyRing(
            signing_key(self.session_secret or stand_in_secret(self.stand_in_path)),
            None if previous is None else signing_key(previous),
        )


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    url: DatabaseUrl


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
    warnings: tuple[str, ...]
    """What works, but perhaps not as intended; to be logged at the start."""


def load_settings(*, demo: bool = False) -> Settings:
    """Read the environment. Raises `SettingsError`.

    The demo takes nothing of the real hub from it: its state stands in `./data/demo`.
    """
    variables, problems = read(_demo_fixed() if demo else {})
    faulty = {problem.partition(":")[0] for problem in problems}
    # A malformed one was read as if it weren't set: that needn't be said too.
    problems += (text for text in _contradictions(variables, demo=demo) if text.split()[0] not in faulty)
    if problems:
        raise SettingsError(tuple(problems))
    return _assemble(variables, demo=demo)


def _demo_fixed() -> dict[str, Any]:
    return {
        **{name: Variables.model_fields[name].default for name in PROVIDER_VARIABLES},
        "hub_mode": True,
        "database_url": SqliteUrl(path=DEMO_DATA / "hub.db"),
        "credentials_path": DEMO_DATA / "credentials",
        "session_secret": DEFAULT_SECRET,
        "session_secret_previous": None,
        "enabled_auth_providers": (),
        "hub_admins": (),
        "auth_callback_url": None,
        "credentials_exec_allow": (),
    }


def _contradictions(variables: Variables, *, demo: bool) -> Iterator[str]:
    secret, previous = _secret(variables), variables.session_secret_previous
    if demo and not is_loopback(variables.host):
        yield f"HOST: the demo answers on loopback alone, and {variables.host!r} isn't: leave HOST out"
    elif variables.hub_mode and secret is None and not is_loopback(variables.host):
        yield (
            f"SESSION_SECRET isn't set (the default is public), and HOST {variables.host!r} can be reached "
            "from other machines: set it, or SESSION_SECRET_FILE, to 32 or more random characters"
        )
    if previous is not None and previous.get_secret_value() in (secret, DEFAULT_SECRET):
        yield "SESSION_SECRET_PREVIOUS is the present SESSION_SECRET or the public default: leave it out"
    if variables.hub_mode:
        yield from provider_contradictions(variables)
    if variables.credentials_path.exists() and not variables.credentials_path.is_dir():
        yield f"CREDENTIALS_PATH: {variables.credentials_path} isn't a directory"


def _cautions(variables: Variables) -> Iterator[str]:
    secret, loopback = _secret(variables), is_loopback(variables.host)
    if variables.hub_mode and not variables.enabled_auth_providers:
        yield "ENABLED_AUTH_PROVIDERS is empty: nobody can sign in; access tokens work"
    if variables.hub_mode:
        yield from provider_cautions(variables)
    if secret is not None and len(secret) < 32:
        yield "SESSION_SECRET has fewer than 32 characters: whoever guesses it can sign in as anybody"
    if not loopback and variables.auth_callback_url is None:
        yield "AUTH_CALLBACK_URL isn't set: only localhost is answered; set it to the address that people use"
    if not loopback and (variables.auth_callback_url or "").startswith("http:"):
        yield "AUTH_CALLBACK_URL is http: sessions and tokens cross the network in the clear"


def _secret(variables: Variables) -> str | None:
    secret = variables.session_secret.get_secret_value()
    return None if secret == DEFAULT_SECRET else secret


def _limits(variables: Variables) -> Limits:
    return Limits(**{each.name: getattr(variables, f"hub_limit_{each.name}") for each in fields(Limits)})


def _assemble(variables: Variables, *, demo: bool) -> Settings:
    previous, allow = variables.session_secret_previous, variables.credentials_exec_allow
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
        ),
        auth=AuthSettings(
            session_secret=_secret(variables),
            session_secret_previous=None if previous is None else previous.get_secret_value(),
            stand_in_path=(DEMO_DATA if demo else DATA) / "session.key",
            administrators=frozenset(variables.hub_admins),
            providers=tuple(dict.fromkeys(variables.enabled_auth_providers)),
            sign_in=sign_in_config(variables),
        ),
        database=DatabaseSettings(url=variables.database_url),
        credentials=CredentialsSettings(path=variables.credentials_path, exec_allow=frozenset(allow)),
        graphql=GraphqlSettings(introspection=variables.hub_allow_introspection, limits=_limits(variables)),
        log=LogSettings(format=variables.log_format, level=variables.log_level),
        warnings=() if demo else tuple(_cautions(variables)),
    )
