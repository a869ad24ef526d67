from pathlib import Path

import pytest

from models.errors import BadDatabaseUrl
from models.url import PostgresUrl, SqliteUrl, parse_database_url


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("./data/hub.db", "data/hub.db"),
        ("hub.db", "hub.db"),
        ("/var/lib/hub.db", "/var/lib/hub.db"),
        (" ~hub/a b.db\n", "~hub/a b.db"),
        ("sqlite://data/hub.db", "data/hub.db"),
        ("sqlite:///var/lib/hub.db", "/var/lib/hub.db"),
        ("sqlite:////var/lib/hub.db", "/var/lib/hub.db"),
        ("SQLite:///var/a%20b.db", "/var/a b.db"),
    ],
)
def test_a_file(text: str, path: str) -> None:
    assert parse_database_url(text) == SqliteUrl(path=Path(path))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("postgres://hub:s3cret@db.example:6432/hub", "db.example:6432/hub"),
        ("postgresql://hub:s3cret%2F%40@db.example/hub?sslmode=require", "db.example/hub"),
        ("postgresql://hub:s3cret@[::1]:5432/hub", "[::1]:5432/hub"),
        ("postgresql://hub:s3cret@a:1,b:2/hub?target_session_attrs=read-write", "a:1,b:2/hub"),
        ("postgresql:///hub?host=/var/run/postgresql", "/hub"),
    ],
)
def test_a_server(text: str, place: str) -> None:
    url = parse_database_url(text)
    assert isinstance(url, PostgresUrl)
    assert (url.dsn, url.place) == (text, place)
    assert "s3cret" not in f"{url!r} {url}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("mysql://hub:s3cret@db/hub", "mysql:// is no database"),
        ("postgresql+asyncpg://hub:s3cret@db/hub", "postgresql\\+asyncpg:// is no database"),
        ("hub:s3cret@db://hub", "it is no database"),
        ("postgres:hub:s3cret@db/hub", "neither a URL nor a path"),
        ("hub:s3cret@db/hub", "neither a URL nor a path"),
        ("host=db password=s3cret", "neither a URL nor a path"),
        ("sqlite://", "has to name a file"),
        ("sqlite://:memory:", "has to name a file"),
        ("sqlite:///hub.db?mode=ro", "no parameters"),
        ("postgresql://hub:s3cret@db", "names no database"),
        ("postgresql://hub:s3cret@db/hub/more", "names no database"),
        ("postgresql://hub:s3cret@db:port/hub", "host or port"),
        ("postgresql://hub:a/s3cret@db/hub", "percent-encoded"),
        ("postgresql://hub:a#s3cret@db/hub", "names no database|percent-encoded"),
        ("postgresql://hub:a?s3cret@db/hub", "names no database|percent-encoded|can't be told apart"),
        ("postgresql://hub:[s3cret@db/hub", "can't be told apart"),
        ("postgresql://db/hub?sslmode=yes", "sslmode is one of"),
        ("postgresql://db/hub?channel_binding=require", "channel_binding is not understood"),
    ],
)
def test_anything_else_is_refused_and_no_password_quoted(text: str, complaint: str) -> None:
    with pytest.raises(BadDatabaseUrl, match=complaint) as refused:
        parse_database_url(text)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None
