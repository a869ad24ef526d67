"""GitHub: who is believed, and which organisations and teams they are in."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from auth.identity import Provider
from auth.people import Person
from auth.providers.config import GithubConfig, SignInConfig
from auth.providers.errors import (
    Expired,
    Misconfigured,
    NotAdmitted,
    NotPermitted,
    ProviderError,
    Unavailable,
    Unbelievable,
)
from auth.providers.github import Github, api_url
from auth.providers.types import Groups
from auth.sign_in import admit
from tests.support.github_server import (
    CLIENT_ID,
    CLIENT_SECRET,
    OCTOCAT,
    GithubServer,
    a_mail,
    a_team,
    an_organisation,
)
from tests.support.sign_in import REDIRECT_URI, a_callback, at_provider, signed_in


@pytest.fixture(scope="module")
async def module_server() -> AsyncIterator[GithubServer]:
    async with GithubServer().serving() as server:
        yield server


@pytest.fixture
def server(module_server: GithubServer) -> GithubServer:
    module_server.reset()
    return module_server


@pytest.fixture
def github(server: GithubServer) -> Github:
    return a_github(server)


def a_github(server: GithubServer, **changes: Any) -> Github:
    settings = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "url": server.url}
    return Github(GithubConfig(**settings | changes))


def group_ids(groups: Groups | ProviderError) -> list[str]:
    assert isinstance(groups, Groups), groups
    return [group.group_id for group in groups.found]


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://acme.ghe.com", "https://api.acme.ghe.com"),
        ("https://github.example.com", "https://github.example.com/api/v3"),
    ],
)
def test_where_the_api_is(url: str, api: str) -> None:
    assert api_url(url) == api


async def test_somebody_comes_in(github: Github, server: GithubServer) -> None:
    server.organisations = [an_organisation(9919)]
    server.teams = [a_team(12, 9919)]
    found = await signed_in(github)
    assert found.profile.person == Person(Provider.GITHUB, "583231")
    assert (found.profile.display_name, found.profile.email) == ("The Octocat", "octocat@example.com")
    assert found.profile.email_verified
    assert found.profile.avatar_url == OCTOCAT["avatar_url"]
    assert isinstance(found.groups, Groups)
    assert [(group.group_id, group.name) for group in found.groups.found] == [
        ("9919", "org-9919"),
        ("9919/12", "org-9919/team-12"),
    ]
    assert found.token is not None
    assert found.token.startswith("gho_")


async def test_what_is_asked_for(github: Github, server: GithubServer) -> None:
    begun = await github.begin(redirect_uri=REDIRECT_URI)
    assert begun.url.startswith(f"{server.url}/login/oauth/authorize?")
    assert "scope=read%3Auser+user%3Aemail+read%3Aorg" in begun.url
    assert "code_challenge_method=S256" in begun.url
    assert begun.nonce is None
    assert begun.verifier not in begun.url
    assert "prompt=" not in begun.url
    again = await github.begin(redirect_uri=REDIRECT_URI, choose_account=True)
    assert "prompt=select_account" in again.url


@pytest.mark.parametrize(
    ("error", "kind"),
    [("bad_verification_code", Expired), ("incorrect_client_credentials", Misconfigured)],
)
async def test_token_errors_come_with_200(
    github: Github, server: GithubServer, error: str, kind: type[ProviderError]
) -> None:
    server.token_error = error
    with pytest.raises(kind, match=error):
        await signed_in(github)


async def test_a_code_is_worth_something_once(github: Github) -> None:
    begun = await github.begin(redirect_uri=REDIRECT_URI)
    callback = a_callback(begun, await at_provider(begun.url))
    await github.finish(callback)
    with pytest.raises(Expired):
        await github.finish(callback)


async def test_another_verifier_gets_nothing(github: Github) -> None:
    mine, theirs = [await github.begin(redirect_uri=REDIRECT_URI) for _ in range(2)]
    with pytest.raises(Expired):
        await github.finish(a_callback(mine, await at_provider(theirs.url)))


async def test_addresses_count_if_primary_and_verified(github: Github, server: GithubServer) -> None:
    limited = SignInConfig(allowed_email_domains=frozenset({"example.com"}))
    other = a_mail("o@example.com", primary=False)
    server.emails = [other, a_mail("Octo@Example.COM")]
    admit((await signed_in(github)).profile, limited)

    server.emails = [other, a_mail("octo@example.com", verified=False)]
    with pytest.raises(NotAdmitted) as refused:
        admit((await signed_in(github)).profile, limited)
    assert refused.value.code == "email_unverified"

    for address in ("octo@example.org", "octo@sub.example.com", "example.com@example.org"):
        server.emails = [other, a_mail(address)]
        with pytest.raises(NotAdmitted) as refused:
            admit((await signed_in(github)).profile, limited)
        assert refused.value.code == "not_allowed"


async def test_a_person_who_keeps_their_address_back(github: Github, server: GithubServer) -> None:
    server.scope = "read:org"
    profile = (await signed_in(github)).profile
    assert (profile.email, profile.email_verified) == (None, False)
    with pytest.raises(NotAdmitted):
        admit(profile, SignInConfig(allowed_email_domains=frozenset({"example.com"})))


async def test_every_page_of_organisations_and_teams(github: Github, server: GithubServer) -> None:
    server.organisations = [an_organisation(number) for number in range(1, 251)]
    server.teams = [a_team(number, 1) for number in range(1, 121)]
    ids = group_ids((await signed_in(github)).groups)
    assert len(ids) == 370
    assert {"250", "1/120"} <= set(ids)


async def test_the_next_page_is_on_the_same_host(github: Github, server: GithubServer) -> None:
    server.organisations = [an_organisation(number) for number in range(1, 151)]
    server.next_host = "http://127.0.0.1:1"
    assert isinstance((await signed_in(github)).groups, Unbelievable)


async def test_the_scopes_that_were_granted_are_looked_at(github: Github, server: GithubServer) -> None:
    server.scope = "user:email"
    assert isinstance((await signed_in(github)).groups, NotPermitted)
    server.scope = "admin:org,user"
    assert group_ids((await signed_in(github)).groups) == []


async def test_hidden_organisations_are_named(github: Github, server: GithubServer) -> None:
    server.organisations = [an_organisation(1)]
    server.hides = "partial-results; organizations=21955855,20582480"
    groups = (await signed_in(github)).groups
    assert isinstance(groups, Groups)
    assert groups.hidden == {"21955855", "20582480"}
    server.hides = "partial-results"
    assert isinstance((await signed_in(github)).groups, Unbelievable)


class TestLimitedToAnOrganisation:
    @pytest.fixture
    def github(self, server: GithubServer) -> Github:
        return a_github(server, allowed_orgs=frozenset({"9919"}))

    async def test_its_people_come_in(self, github: Github, server: GithubServer) -> None:
        server.organisations = [an_organisation(1), an_organisation(9919)]
        assert (await signed_in(github)).profile.display_name == "The Octocat"

    async def test_others_are_kept_out(self, github: Github, server: GithubServer) -> None:
        server.organisations, server.teams = [an_organisation(1)], [a_team(9919, 1)]
        with pytest.raises(NotAdmitted) as refused:
            await signed_in(github)
        assert refused.value.code == "not_allowed"

    async def test_one_that_hides_itself(self, github: Github, server: GithubServer) -> None:
        server.hides = "partial-results; organizations=9919"
        with pytest.raises(NotAdmitted) as refused:
            await signed_in(github)
        assert refused.value.code == "sso_required"

    async def test_without_leave_to_look_nobody_comes_in(self, github: Github, server: GithubServer) -> None:
        server.scope = "user:email"
        with pytest.raises(NotPermitted):
            await signed_in(github)

    async def test_whoever_left_is_told_apart_from_a_failure(
        self, github: Github, server: GithubServer
    ) -> None:
        server.organisations = [an_organisation(9919)]
        found = await signed_in(github)
        server.status = 502
        with pytest.raises(Unavailable):
            await github.read_groups(found.profile.person, token=found.token or "")
        server.status, server.organisations = 200, []
        with pytest.raises(NotAdmitted):
            await github.read_groups(found.profile.person, token=found.token or "")


async def test_groups_are_read_again(github: Github, server: GithubServer) -> None:
    server.organisations = [an_organisation(1), an_organisation(2)]
    found = await signed_in(github)
    server.organisations = [an_organisation(2)]
    read = await github.read_groups(found.profile.person, token=found.token or "")
    assert (group_ids(read.groups), read.token) == (["2"], found.token)
    server.revoke_tokens()
    with pytest.raises(Expired):
        await github.read_groups(found.profile.person, token=found.token or "")


async def test_a_token_of_somebody_else(github: Github, server: GithubServer) -> None:
    found = await signed_in(github)
    server.user["id"] = 2
    with pytest.raises(Unbelievable, match="somebody else"):
        await github.read_groups(found.profile.person, token=found.token or "")


@pytest.mark.parametrize(
    ("user", "kind"),
    [({"id": "583231"}, Unbelievable), ({"login": "octocat"}, Unbelievable), ({"id": True}, Unbelievable)],
)
async def test_somebody_without_a_numeric_id(
    github: Github, server: GithubServer, user: dict[str, Any], kind: type[ProviderError]
) -> None:
    server.user = user
    with pytest.raises(kind, match="numeric id"):
        await signed_in(github)
