"""What a hub refuses, over GraphQL."""

from collections.abc import Mapping
from typing import Any

from tests.support.hub import HubUnderTest


async def refused(
    hub: HubUnderTest, token: str | None, query: str, variables: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The one error's extensions, with its message."""
    answer = await hub.ask(token, query, variables)
    assert "errors" in answer, answer
    (error,) = answer["errors"]
    extensions = {key: value for key, value in error["extensions"].items() if key != "requestId"}
    return extensions | {"message": error["message"]}


async def code_of(
    hub: HubUnderTest, token: str | None, query: str, variables: Mapping[str, Any] | None = None
) -> str:
    code: str = (await refused(hub, token, query, variables))["code"]
    return code


async def bad_fields(hub: HubUnderTest, token: str, query: str, variables: Mapping[str, Any]) -> list[str]:
    """The paths that a BAD_USER_INPUT names."""
    error = await refused(hub, token, query, variables)
    assert error["code"] == "BAD_USER_INPUT", error
    assert all(field["message"] for field in error["fields"])
    return [field["path"] for field in error["fields"]]
