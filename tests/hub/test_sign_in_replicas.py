"""Two replicas on one database: whichever the browser comes back to."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from models.url import parse_database_url
from tests.support.hub import hub_settings, serving
from tests.support.sign_in import Providers, failure, serving_providers, visiting


@pytest.fixture
async def providers() -> AsyncIterator[Providers]:
    async with serving_providers() as providers:
        yield providers


async def test_any_replica_takes_the_browser_back_and_only_one_does(
    providers: Providers, postgres_url: str, tmp_path: Path
) -> None:
    settings = hub_settings(tmp_path, database=parse_database_url(postgres_url), sign_in=providers.config)
    # A balancer in front of both gives them one address.
    settings = replace(settings, http=replace(settings.http, public_url="http://localhost:1"))
    async with serving(settings) as one, serving(settings) as other, visiting(one) as visitor:
        address = urlsplit(await visitor.sent_back("entra"))
        async with visiting(other) as there:
            there.http.cookies = kept = httpx2.Cookies(visitor.http.cookies)
            answer = await there.http.get(f"{address.path}?{address.query}")
            assert answer.headers["location"] == "/graphql"
        visitor.http.cookies = kept
        assert failure(await visitor.http.get(f"{address.path}?{address.query}")) == "state_mismatch"
