"""DATABASE_URL, understood once and frozen.

    ./data/hub.db   sqlite://data/hub.db   sqlite:///abs/hub.db      a file
    postgres://…    postgresql://…                                   a server, in libpq's words

What a PostgreSQL URL says beyond its parts (`sslmode`, `sslrootcert`, several hosts…) is asyncpg's to read:
it follows libpq, whereas Tortoise's own reading takes `ssl=disable` for TLS and fails on `sslmode`.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from models.errors import BadDatabaseUrl

UNDERSTOOD = "postgresql://user@host/database, sqlite:///absolute/path or a plain path are understood"

POSTGRES_PARAMETERS = {
    "application_name", "host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl",
    "target_session_attrs",
}  # fmt: skip
SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}


@dataclass(frozen=True, kw_only=True)
class SqliteUrl:
    path: Path
    dialect = "sqlite"
    engine = "models.engines.sqlite"

    def credentials(self, *, patient: bool) -> dict[str, Any]:
        """The pragmas too. `patient` waits a minute for other processes' writes instead of five seconds."""
        return {"file_path": str(self.path), "busy_timeout": 60_000 if patient else 5_000}

    def __str__(self) -> str:
        return f"the SQLite database {self.path}"


@dataclass(frozen=True, kw_only=True)
class PostgresUrl:
    dsn: str = field(repr=False)
    place: str
    """Hosts and database, without user and password."""
    pooled: bool = False
    """Whether a pooler may give each transaction another connection, so that nothing outlasts one."""
    dialect = "postgres"
    engine = "models.engines.asyncpg"

    def credentials(self, *, patient: bool) -> dict[str, Any]:
        """Pool and time limits too, in seconds. `patient` lets a statement take as long as it needs.

        With a least size above 0 asyncpg would log a traceback every time that it fails to restore it.
        """
        limits = {"minsize": 0, "maxsize": 10, "timeout": 5, "command_timeout": None if patient else 10}
        prepared = {"statement_cache_size": 0} if self.pooled else {}
        return {"dsn": self.dsn, **limits, **prepared}

    def behind_pooler(self) -> "PostgresUrl":
        return replace(self, pooled=True)

    def __str__(self) -> str:
        return f"the PostgreSQL database {self.place}"


DatabaseUrl = SqliteUrl | PostgresUrl


def parse_database_url(text: str) -> DatabaseUrl:
    """Raises BadDatabaseUrl with what is wrong; it quotes nothing in which a password could stand."""
    text = text.strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _plain_path(text)
    if scheme.lower() == "sqlite":
        return _sqlite(rest)
    if scheme.lower() in ("postgres", "postgresql"):
        return _postgres(text)
    known = re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme)
    raise BadDatabaseUrl(
        f"{scheme + '://' if known else 'it'} is no database that the hub knows; {UNDERSTOOD}"
    )


def _plain_path(text: str) -> SqliteUrl:
    if not text:
        raise BadDatabaseUrl(f"it is empty; {UNDERSTOOD}")
    # A mistyped URL or libpq's key=value form would otherwise become a file named like its password.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:|\w+\s*=|[^/]*@", text):
        raise BadDatabaseUrl(f"it is neither a URL nor a path; {UNDERSTOOD}")
    return SqliteUrl(path=Path(text))


def _sqlite(rest: str) -> SqliteUrl:
    path = unquote(rest)
    if path in ("", "/", ":memory:", "/:memory:"):
        raise BadDatabaseUrl("sqlite:// has to name a file: the hub's processes share it")
    if "?" in rest or "#" in rest:
        raise BadDatabaseUrl("sqlite:// takes no parameters")
    return SqliteUrl(path=Path(re.sub("^/+", "/", path)))


def _postgres(text: str) -> PostgresUrl:
    try:
        parts = urlsplit(text)
        parameters = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise BadDatabaseUrl(
            "its parts can't be told apart; characters like / # ? @ in a password are to be percent-encoded"
        ) from None
    _check_parameters({name: values[-1] for name, values in parameters.items()})
    hosts = parts.netloc.rpartition("@")[2]
    _check_place(parts, hosts)
    return PostgresUrl(dsn=text, place=f"{hosts}{unquote(parts.path)}")


def _check_parameters(parameters: dict[str, str]) -> None:
    if unknown := sorted(parameters.keys() - POSTGRES_PARAMETERS):
        raise BadDatabaseUrl(
            f"{', '.join(unknown)} is not understood; known are {', '.join(sorted(POSTGRES_PARAMETERS))}"
        )
    if parameters.get("sslmode", "prefer") not in SSL_MODES:
        raise BadDatabaseUrl(f"sslmode is one of {', '.join(sorted(SSL_MODES))}")


def _check_place(parts: SplitResult, hosts: str) -> None:
    if parts.fragment or "@" in parts.path:
        raise BadDatabaseUrl("characters like / # ? @ in a password are to be percent-encoded")
    if len(parts.path) < 2 or "/" in parts.path[1:]:
        raise BadDatabaseUrl("it names no database: postgresql://user@host/database")
    for host in filter(None, hosts.split(",")):
        if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(:\d{1,5})?", host):
            raise BadDatabaseUrl("its host or port is malformed")
