"""How many access tokens an account may make in an hour; the routes' limits are in tests/hub."""

from tests.support.people import sign_in
from tests.support.surface import World

CREATE = """mutation ($name: String!) {
  createAccessToken(input: {name: $name}) { accessToken { id } }
}"""
TIMES = 30


async def test_an_account_makes_thirty_tokens_an_hour_by_whatever_session(shared_world: World) -> None:
    hub = shared_world.hub
    first, second, other = (
        await sign_in(hub, "maker"),
        await sign_in(hub, "maker"),
        await sign_in(hub, "other"),
    )
    for number in range(TIMES):
        await hub.data(first if number % 2 else second, CREATE, {"name": f"token {number}"})
    for session in (first, second):
        (error,) = (await hub.ask(session, CREATE, {"name": "one too many"}))["errors"]
        assert error["message"].startswith("Too many attempts: token creation; try again in ")
        extensions = error["extensions"]
        assert (extensions["code"], extensions["reason"]) == ("RATE_LIMITED", "TOKEN_CREATION")
        assert extensions["limit"] == TIMES
        assert extensions["actual"] > TIMES
        assert 3_500 < extensions["retryAfter"] <= 3_600
    await hub.data(other, CREATE, {"name": "another's"})
