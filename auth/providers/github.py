"""GitHub and GitHub Enterprise. People, organisations and teams are keyed by numeric ids: names change hands.

A team's group id is `ORGANISATION/TEAM`, both numeric: organisations and teams are numbered apart, so a bare
number could be either's. OAuth apps have no refresh tokens; what reads the groups again is the access token,
which lasts until it is revoked.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import AsyncOAuth2Client

from auth.identity import Provider
from auth.people import Person
from auth.providers import profiles
from auth.providers.config import GITHUB, GithubConfig
from auth.providers.errors import Code, NotAdmitted, NotPermitted, ProviderError, Unbelievable
from auth.providers.types import Begun, Callback, Groups, GroupsRead, Profile, SignedIn
from auth.providers.web import Web, same_host, translated, within

NAME = "GitHub"
SCOPES = ("read:user", "user:email", "read:org")
WIDER = {
    "user:email": {"user:email", "user"},
    "read:org": {"read:org", "write:org", "admin:org"},
}
"""Scopes that hold each of ours; GitHub names the widest alone."""
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
PAGES = 50
SIGN_IN_WITHIN = 20.0
GROUPS_WITHIN = 40.0


def api_url(url: str) -> str:
    """Where the API of a GitHub is: github.com, a tenant of ghe.com, or a GitHub Enterprise Server."""
    host = urlsplit(url).hostname or ""
    if url == GITHUB or host.endswith(".ghe.com"):
        return f"https://api.{host}"
    return f"{url}/api/v3"


class Github:
    def __init__(self, config: GithubConfig) -> None:
        self._config = config
        self._web = Web(NAME, url=config.url)
        self._api = api_url(config.url)

    async def begin(self, *, redirect_uri: str, choose_account: bool = False) -> Begun:
        verifier = generate_token(48)
        async with self._client(redirect_uri, scope=" ".join(SCOPES)) as client:
            url, state = client.create_authorization_url(
                f"{self._config.url}/login/oauth/authorize",
                code_verifier=verifier,
                **({"prompt": "select_account"} if choose_account else {}),
            )
        return Begun(url, state, verifier, None)

    async def finish(self, callback: Callback) -> SignedIn:
        if not callback.verifier:
            raise Unbelievable("this sign-in was begun without a verifier")
        if callback.issuer is not None and not same_host(callback.issuer, self._config.url):
            raise Unbelievable(f"the callback is of another issuer than {NAME}")
        async with within(SIGN_IN_WITHIN, NAME):
            token, scopes = await self._token(callback)
            profile = await self._profile(token, scopes)
        groups = await self._groups(token, scopes)
        self._admit(profile.person, groups)
        return SignedIn(profile=profile, groups=groups, token=token)

    async def read_groups(self, person: Person, *, token: str) -> GroupsRead:
        async with within(SIGN_IN_WITHIN, NAME):
            user = await self._web.get(f"{self._api}/user", token=token, headers=HEADERS)
        if _person(_object(user)) != person:
            raise Unbelievable(f"{NAME}'s token is somebody else's")
        # The header tells what is left of them; a proxy may have taken it.
        scopes = _scopes(user.headers.get("x-oauth-scopes", ",".join(SCOPES)))
        groups = await self._groups(token, scopes)
        self._admit(person, groups)
        return GroupsRead(groups=groups, token=token)

    def _client(self, redirect_uri: str, **options: str) -> AsyncOAuth2Client:
        config = self._config
        return self._web.oauth(
            config.client_id,
            config.client_secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - a name, no secret
            redirect_uri=redirect_uri,
            **options,
        )

    async def _token(self, callback: Callback) -> tuple[str, frozenset[str]]:
        """The access token, and the scopes that the person gave it. Errors come with HTTP 200."""
        async with self._client(callback.redirect_uri) as client:
            with translated(NAME, callback.code, callback.verifier, self._config.client_secret):
                answer = await client.fetch_token(
                    f"{self._config.url}/login/oauth/access_token",
                    grant_type="authorization_code",
                    code=callback.code,
                    code_verifier=callback.verifier,
                )
        token, scope = answer.get("access_token"), answer.get("scope")
        if not isinstance(token, str) or not isinstance(scope, str):
            raise Unbelievable(f"{NAME} sent no access token, or not what it is for")
        return token, _scopes(scope)

    async def _profile(self, token: str, scopes: frozenset[str]) -> Profile:
        user = _object(await self._web.get(f"{self._api}/user", token=token, headers=HEADERS))
        email, verified = None, False
        if scopes & WIDER["user:email"]:
            rows, _ = await self._pages("/user/emails", token)
            primary: Mapping[str, Any] = next((row for row in rows if row.get("primary") is True), {})
            email, verified = profiles.email(primary, "email"), primary.get("verified") is True
        return Profile(
            person=_person(user),
            display_name=profiles.text(user, "name", "login") or str(user["id"]),
            email=email,
            email_verified=verified,
            avatar_url=profiles.picture(user, "avatar_url"),
        )

    async def _groups(self, token: str, scopes: frozenset[str]) -> Groups | ProviderError:
        try:
            if not scopes & WIDER["read:org"]:
                raise NotPermitted(f"{NAME}: the person didn't grant the scope read:org")
            async with within(GROUPS_WITHIN, NAME):
                return await self._read_groups(token)
        except ProviderError as error:
            return error

    async def _read_groups(self, token: str) -> Groups:
        organisations, hidden = await self._pages("/user/orgs", token)
        teams, hidden_too = await self._pages("/user/teams", token)
        found: list[tuple[object, object]] = [
            (_id(row), profiles.text(row, "login")) for row in organisations
        ]
        found += map(_team, teams)
        return Groups(profiles.groups(Provider.GITHUB, found, name=NAME), hidden | hidden_too)

    def _admit(self, person: Person, groups: Groups | ProviderError) -> None:
        """Raises `NotAdmitted`, or why that can't be told."""
        allowed = self._config.allowed_orgs
        if not allowed:
            return
        if isinstance(groups, ProviderError):
            raise groups
        if allowed & {group.group_id for group in groups.found}:
            return
        if allowed & groups.hidden:
            raise NotAdmitted(
                f"{person}'s organisation hides itself until single sign-on is authorised",
                code=Code.SSO_REQUIRED,
            )
        raise NotAdmitted(f"{person} is in none of ALLOWED_GITHUB_ORGS")

    async def _pages(self, path: str, token: str) -> tuple[list[dict[str, Any]], frozenset[str]]:
        """Every row, and the ids of the organisations whose rows were left out."""
        rows: list[dict[str, Any]] = []
        hidden: set[str] = set()
        url = f"{self._api}{path}?per_page=100"
        for _ in range(PAGES):
            response = await self._web.get(url, token=token, headers=HEADERS)
            rows += _rows(response)
            hidden |= _hidden(response.headers.get("x-github-sso", ""))
            following = response.links.get("next", {}).get("url")
            if following is None:
                return rows, frozenset(hidden)
            if not same_host(following, self._api):
                raise Unbelievable(f"{NAME} has its next page on another host: {following[:80]!r}")
            url = following
        raise Unbelievable(f"{NAME} has more than {PAGES} pages at {path}")


def _scopes(listed: str) -> frozenset[str]:
    return frozenset(re.split(r"[,\s]+", listed)) - {""}


def _hidden(header: str) -> set[str]:
    """Of X-GitHub-SSO: organisations that show themselves only after single sign-on."""
    if not header.startswith("partial-results"):
        return set()
    match = re.search(r"organizations=([0-9]+(?:,[0-9]+)*)", header)
    if match is None:
        raise Unbelievable(f"{NAME} hides organisations without saying which")
    return set(match[1].split(","))


def _object(response: httpx2.Response) -> dict[str, Any]:
    with translated(NAME):
        data = response.json()
    if not isinstance(data, dict):
        raise Unbelievable(f"{NAME}: {response.url} answers no JSON object")
    return data


def _rows(response: httpx2.Response) -> list[dict[str, Any]]:
    with translated(NAME):
        data = response.json()
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise Unbelievable(f"{NAME}: {response.url} answers no list")
    return data


def _id(row: Mapping[str, Any]) -> str:
    number = row.get("id")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise Unbelievable(f"{NAME} names something without its numeric id")
    return str(number)


def _person(user: Mapping[str, Any]) -> Person:
    return Person(Provider.GITHUB, _id(user))


def _team(row: Mapping[str, Any]) -> tuple[str, str]:
    organisation = row.get("organization")
    if not isinstance(organisation, dict):
        raise Unbelievable(f"{NAME} names a team without its organisation")
    names = profiles.text(organisation, "login"), profiles.text(row, "slug", "name")
    return f"{_id(organisation)}/{_id(row)}", "/".join(filter(None, names))
