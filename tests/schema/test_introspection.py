"""The schema itself is for whoever is signed in, unless the settings say otherwise."""

from pathlib import Path

import pytest
from graphql import get_introspection_query

from tests.support.hub import running

ASKS = (
    "{ __schema { queryType { name } } }",
    '{ hub { mode } __type(name: "Hub") { name } }',
    "query { ...F } fragment F on Query { s: __schema { types { name } } }",
    get_introspection_query(),
)
HARMLESS = (
    "{ __typename hub { __typename mode } }",
    "{ __typename hub { mode } # __schema { types { name } }\n }",
)


@pytest.mark.parametrize(
    ("setting", "stranger", "signed_in"),
    [(None, "UNAUTHENTICATED", None), (True, None, None), (False, "BAD_USER_INPUT", "BAD_USER_INPUT")],
)
async def test_who_may_ask_for_the_schema(
    tmp_path: Path, setting: bool | None, stranger: str | None, signed_in: str | None
) -> None:
    async with running(tmp_path, introspection=setting) as hub:
        nobody = await hub.token("nobody")
        for token, code in ((None, stranger), (nobody, signed_in)):
            for query in ASKS:
                answer = await hub.ask(token, query)
                if code is None:
                    assert "errors" not in answer
                else:
                    assert "data" not in answer
                    assert {error["extensions"]["code"] for error in answer["errors"]} == {code}
            for query in HARMLESS:
                assert (await hub.data(token, query))["hub"]["mode"] == "HUB"
        async with hub.socket(nobody) as socket:
            await socket.subscribe(ASKS[0])
            assert (await socket.receive())["type"] == ("next" if signed_in is None else "error")
