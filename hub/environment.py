"""The environment variables, each read and judged by itself. What they mean together: `hub.settings`."""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from auth.errors import InvalidRequest
from auth.identity import Provider
from auth.people import Person, parse_person
from auth.providers.config import GITHUB, MICROSOFT, ORGANISATIONS
from models.url import DatabaseUrl, PostgresUrl, SqliteUrl, parse_database_url
from schema.limits import DEFAULT_LIMITS

DEFAULT_SECRET = "dev-secret-change-in-production"  # noqa: S105 - public, and therefore never a key

Network = IPv4Network | IPv6Network


def _web_address(value: str) -> SplitResult:
    url = urlsplit(value)
    _ = url.port  # raises ValueError unless it is a number
    if (
        url.scheme not in ("http", "https")
        or not url.hostname
        or "@" in url.netloc
        or url.query
        or url.fragment
    ):
        raise ValueError(f"{value!r} isn't an address like https://hub.example.com")
    return url


def origin(address: str) -> str:
    """The origin of a web address as browsers write it; raises ValueError for anything else."""
    url = _web_address(address)
    host = f"[{url.hostname}]" if ":" in str(url.hostname) else url.hostname
    usual = {"http": 80, "https": 443}[url.scheme]
    return f"{url.scheme}://{host}" if url.port in (None, usual) else f"{url.scheme}://{host}:{url.port}"


def _base_url(value: str) -> str:
    url = _web_address(value)
    if "/api/auth" in url.path:
        raise ValueError(f"{value!r} is more than the hub's address: leave off /api/auth and what follows")
    return url.geturl().rstrip("/")


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _issuer(value: str) -> str:
    """An identity provider's address: what it says of people is to be believed."""
    url = _web_address(value)
    if url.scheme == "http" and not is_loopback(str(url.hostname)):
        raise ValueError(f"{value!r} is http: who answers there could be anybody; only https will do")
    if "/.well-known/" in url.path:
        raise ValueError(f"{value!r} is where the metadata is; leave off /.well-known/ and what follows")
    return url.geturl()


def _provider_url(value: str) -> str:
    return _issuer(value).rstrip("/")


def _tenant_id(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value.lower()):
        raise ValueError(f"{value!r} is no tenant id, which is a GUID")
    return value.lower()


def _tenant(value: str) -> str:
    lowered = value.lower()
    if lowered in ("common", "consumers"):
        raise ValueError(
            f"{value!r} lets in personal accounts, which belong to no tenant: give a tenant id, "
            f"or {ORGANISATIONS} with AZURE_ALLOWED_TENANTS"
        )
    if lowered == ORGANISATIONS or re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", lowered):
        return lowered
    return _tenant_id(value)


def _organisation_id(value: str) -> str:
    if not re.fullmatch("[1-9][0-9]{0,18}", value):
        raise ValueError(
            f"{value!r} is no organisation's numeric id; https://api.github.com/orgs/NAME tells it as `id`"
        )
    return value


def _domain(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", value.lower()):
        raise ValueError(f"{value!r} is no domain such as example.com")
    return value.lower()


def _scopes(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


def _openid(value: tuple[str, ...]) -> tuple[str, ...]:
    if "openid" not in value:
        raise ValueError(f"{' '.join(value)!r} lacks openid: without it nobody says who has signed in")
    return value


def _bare_origin(value: str) -> str:
    if _web_address(value).path.strip("/"):
        raise ValueError(f"{value!r} has a path; an origin ends before it")
    return origin(value)


def _bare_name(value: str) -> str:
    if "/" in value:
        raise ValueError(f"{value!r} is a path; name the program alone, it is looked for on PATH")
    return value


def _administrator(value: str) -> Person:
    try:
        person = parse_person(value)
    except InvalidRequest as error:
        raise ValueError(str(error)) from error
    if person.provider is Provider.DEMO:
        raise ValueError(f"{value!r} names nobody outside the demo")
    return person


def _database(value: str | DatabaseUrl) -> DatabaseUrl:
    return parse_database_url(value) if isinstance(value, str) else value


def _server(value: str | PostgresUrl) -> PostgresUrl:
    url = parse_database_url(value) if isinstance(value, str) else value
    if not isinstance(url, PostgresUrl):
        raise ValueError("the hub hears of other replicas' changes from PostgreSQL alone")
    return url


def _duration(value: str | timedelta) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"([1-9][0-9]{0,4})([smhdw])", value.strip())
    if match is None:
        raise ValueError(f"{value!r} is no time: write 90s, 30m, 12h, 30d or 52w")
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def _network(value: str) -> Network:
    try:
        return ip_network(value)
    except ValueError:
        raise ValueError(f"{value!r} is no address or network like 10.0.0.7 or 10.0.0.0/8") from None


def _commas(value: object) -> object:
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


_Commas = (NoDecode, BeforeValidator(_commas))
_Administrator = Annotated[Person, PlainValidator(_administrator)]
_Origin = Annotated[str, AfterValidator(_bare_origin)]
_ProviderUrl = Annotated[str, AfterValidator(_provider_url)]
_TenantId = Annotated[str, AfterValidator(_tenant_id)]
_OrganisationId = Annotated[str, AfterValidator(_organisation_id)]
_Domain = Annotated[str, AfterValidator(_domain)]
_Duration = Annotated[timedelta, PlainValidator(_duration)]
_Network = Annotated[Network, PlainValidator(_network)]
_Count = Annotated[int, Field(ge=1, description="a whole number, 1 or more")]
_Nesting = Annotated[int, Field(ge=1, le=200, description="a whole number, 1 to 200")]
"""graphql-core's parser gives up at 200."""
_ProviderName = Annotated[
    Literal["entra", "github", "oidc"], BeforeValidator(_lower), Field(description="entra, github or oidc")
]


class Variables(BaseSettings):
    """Every variable that the hub reads, with its default. Descriptions complete "… isn't"."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")

    hub_mode: bool = Field(False, description="true or false")
    database_url: Annotated[DatabaseUrl, PlainValidator(_database)] = SqliteUrl(
        path=Path("./data/kubefoundry.db")
    )
    database_listen_url: Annotated[PostgresUrl, PlainValidator(_server)] | None = None
    session_secret: SecretStr = SecretStr(DEFAULT_SECRET)
    session_secret_previous: SecretStr | None = None
    encryption_key: SecretStr | None = None
    encryption_key_previous: SecretStr | None = None
    session_max_age: _Duration = timedelta(days=30)
    group_max_age: _Duration = timedelta(hours=24)
    audit_retention: _Duration = timedelta(days=90)
    rate_limit_sign_in: _Count = 10
    rate_limit_refresh: _Count = 10
    rate_limit_tokens: _Count = 30
    credentials_path: Path = Path("./credentials")
    enabled_auth_providers: Annotated[tuple[_ProviderName, ...], *_Commas] = ()
    auth_callback_url: Annotated[str, AfterValidator(_base_url)] | None = None
    host: str = "127.0.0.1"
    port: int = Field(3001, ge=0, le=65535, description="a port number, 0 to 65535")
    hub_admins: Annotated[tuple[_Administrator, ...], *_Commas] = ()
    azure_tenant_id: Annotated[str, AfterValidator(_tenant)] | None = None
    azure_client_id: str | None = None
    azure_client_secret: SecretStr | None = None
    azure_allowed_tenants: Annotated[tuple[_TenantId, ...], *_Commas] = ()
    azure_authority: _ProviderUrl = MICROSOFT
    azure_graph_url: _ProviderUrl | None = None
    github_client_id: str | None = None
    github_client_secret: SecretStr | None = None
    github_url: _ProviderUrl = GITHUB
    allowed_github_orgs: Annotated[tuple[_OrganisationId, ...], *_Commas] = ()
    oidc_issuer: Annotated[str, AfterValidator(_issuer)] | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_name: str = "single sign-on"
    oidc_groups_claim: str = "groups"
    oidc_scopes: (
        Annotated[tuple[str, ...], NoDecode, BeforeValidator(_scopes), AfterValidator(_openid)] | None
    ) = None
    allowed_email_domains: Annotated[tuple[_Domain, ...], *_Commas] = ()
    credentials_exec_allow: (
        Annotated[tuple[Annotated[str, AfterValidator(_bare_name)], ...], *_Commas] | None
    ) = None
    allowed_origins: Annotated[tuple[_Origin, ...], *_Commas] = ()
    trusted_proxies: Annotated[tuple[_Network, ...], *_Commas] = ()
    hub_allow_introspection: bool | None = Field(None, description="true or false")
    hub_limit_length: _Count = DEFAULT_LIMITS.length
    hub_limit_tokens: _Count = DEFAULT_LIMITS.tokens
    hub_limit_nesting: _Nesting = DEFAULT_LIMITS.nesting
    hub_limit_depth: _Count = DEFAULT_LIMITS.depth
    hub_limit_root_fields: _Count = DEFAULT_LIMITS.root_fields
    hub_limit_aliases: _Count = DEFAULT_LIMITS.aliases
    hub_limit_directives: _Count = DEFAULT_LIMITS.directives
    hub_limit_fields: _Count = DEFAULT_LIMITS.fields
    hub_limit_values: _Count = DEFAULT_LIMITS.values
    hub_limit_cost: _Count = DEFAULT_LIMITS.cost
    hub_limit_deadline: _Count = DEFAULT_LIMITS.deadline
    hub_limit_body: _Count = DEFAULT_LIMITS.body
    hub_limit_persisted: _Count = DEFAULT_LIMITS.persisted
    hub_limit_connection_operations: _Count = DEFAULT_LIMITS.connection_operations
    hub_limit_person_operations: _Count = DEFAULT_LIMITS.person_operations
    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = Field(
        "text", description="text or json"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        "info", description="debug, info, warning or error"
    )
    web_concurrency: int = Field(
        1, ge=1, le=1, description="1, and can't be: for more cores, run replicas on one PostgreSQL"
    )


def _is_secret(annotation: object) -> bool:
    return SecretStr in (annotation, *get_args(annotation))


FROM_FILES = (
    "database_url",
    "database_listen_url",
    *(name for name, field in Variables.model_fields.items() if _is_secret(field.annotation)),
)
"""Fields of `Variables` that `NAME_FILE` may give instead of `NAME`: every secret."""


def read(fixed: Mapping[str, Any]) -> tuple[Variables, list[str]]:
    """What the environment says, and every problem with it. `fixed` fields ignore their variables.

    A field with a problem has its default, so that what depends on the others can be judged all the same.
    """
    problems: list[str] = []
    given = {**_from_files(problems, [name for name in FROM_FILES if name not in fixed]), **fixed}
    try:
        return Variables(**given), problems
    except ValidationError as error:
        problems += _sentences(error)
        faulty = {str(detail["loc"][0]) for detail in error.errors()}
    defaults = {name: Variables.model_fields[name].default for name in faulty}
    return Variables(**{**given, **defaults}), problems


def is_set(variable: str) -> bool:
    """Whether the environment has it, though this process may take no notice."""
    return bool(os.environ.get(variable))


def forget_secrets() -> None:
    """Take the secrets out of this process's environment: exec plugins inherit what is left."""
    for name in FROM_FILES:
        os.environ.pop(name.upper(), None)


def _from_files(problems: list[str], names: list[str]) -> dict[str, str]:
    values = {}
    for name in names:
        variable = name.upper()
        path = os.environ.get(f"{variable}_FILE")
        if not path:
            continue
        if os.environ.get(variable):
            problems.append(f"{variable} and {variable}_FILE are both set: leave one of them out")
        try:
            values[name] = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{variable}_FILE can't be read: {error}")
        else:
            if not values[name]:
                problems.append(f"{variable}_FILE: {path} is empty")
    return values


def _sentences(error: ValidationError) -> Iterator[str]:
    for detail in error.errors():
        name = str(detail["loc"][0])
        if detail["type"] == "value_error":
            yield f"{name.upper()}: {detail['ctx']['error']}"
            continue
        description = Variables.model_fields[name].description or "entra, github or oidc"
        yield f"{name.upper()}: {detail['input']!r} isn't {description}"
