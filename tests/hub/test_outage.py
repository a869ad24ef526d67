"""The door while the database is away. PostgreSQL's, so it can't share a module with SQLite's."""

from models.database import open_database
from models.url import parse_database_url
from tests.support.databases import PostgresServer
from tests.support.echo_hub import ADA, a_hub, a_session, a_token, bearer, cookie


async def test_while_the_database_is_away_nothing_is_held_against_a_credential(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with open_database(parse_database_url(postgres_url)) as database:
        with database.entered():
            async with a_hub(database, fresh_for=0) as hub:
                session, token = cookie(a_session(hub.ada)), await a_token(hub.ada)
                assert (await hub.get("/api/things", **session)).status_code == 200
                name = postgres_url.rpartition("/")[2]
                postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
                postgres_server.sql(
                    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
                )
                assert (await hub.get("/api/things", **session)).json()["subject"] == ADA.subject
                refused = await hub.get("/api/things", **bearer(token))
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "UNAVAILABLE")
                assert int(refused.headers["retry-after"]) > 0
                unknown = await hub.get("/page", **cookie(a_session(hub.bob)))
                assert unknown.json()["error"] == "IdentityUnavailable"
                assert "set-cookie" not in unknown.headers
                postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
