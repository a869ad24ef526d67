"""The door while the database is away. PostgreSQL's, so it can't share a module with SQLite's."""

from auth.refresh_tokens import RefreshTokens
from models.database import open_database
from models.ids import new_id
from models.url import parse_database_url
from tests.support.databases import PostgresServer
from tests.support.echo_hub import ADA, SESSIONS, a_hub, a_session, a_token, bearer, cookie


async def test_while_the_database_is_away_nothing_is_held_against_a_credential(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with open_database(parse_database_url(postgres_url)) as database:
        with database.entered():
            async with a_hub(database, fresh_for=0) as hub:
                session, token = cookie(await a_session(hub.ada)), await a_token(hub.ada)
                not_seen_yet = cookie(await a_session(hub.bob))
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
                unknown = await hub.get("/page", **not_seen_yet)
                assert unknown.json()["error"] == "IdentityUnavailable"
                assert "set-cookie" not in unknown.headers
                me = await hub.get("/api/auth/me", **not_seen_yet)
                assert (me.status_code, me.json()["error"]["code"]) == (503, "UNAVAILABLE")
                refresh_token = RefreshTokens(SESSIONS.keys).first(new_id("ses")).secret
                for shown in (session, not_seen_yet, {"cookie": f"hub_refresh={refresh_token}"}):
                    out = await hub.post("/api/auth/logout", x_hub_request="1", **shown)
                    assert (out.status_code, out.json()["error"]["code"]) == (503, "UNAVAILABLE")
                    assert "set-cookie" not in out.headers
                fresh = await hub.post("/api/auth/refresh", x_hub_request="1", **shown)
                assert fresh.status_code == 503
                assert "set-cookie" not in fresh.headers
                postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
