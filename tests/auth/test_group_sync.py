"""Groups are read again while sessions go on: what is left is lost, what can't be read is said."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from auth.effective import GrantRules, grants_of
from auth.group_sync import GroupSync
from auth.groups import write_groups
from auth.identity import Provider
from auth.issuing import Sessions
from auth.keys import KeyRing, sealing_key, signing_key
from auth.permissions import Group, Role
from auth.providers.catalogue import Providers
from auth.providers.config import EntraConfig, GithubConfig, OidcConfig, SignInConfig
from auth.providers.types import Groups
from auth.session_rows import revoke_sessions
from auth.sessions import SessionTokens
from auth.sign_in import record_sign_in
from models.bus import Change
from models.database import Database
from models.ids import new_id
from models.sealing import Sealer
from models.tables import GroupMapping, Membership, Session, User
from tests.support.github_server import GithubServer, a_team, an_organisation
from tests.support.graph_server import GraphServer
from tests.support.openid_server import CLIENT_ID, CLIENT_SECRET, MISSING, OpenIdServer
from tests.support.sign_in import signed_in

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
CLAIMS = {"sub": "s", "tid": TENANT, "oid": "ada", "name": "Ada", "groups": MISSING}
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SESSIONS = Sessions(tokens=SessionTokens(keys=KeyRing(signing_key("secret"))))


@dataclass
class World:
    """Three providers, and people who come in by them."""

    entra: OpenIdServer
    graph: GraphServer
    github: GithubServer
    oidc: OpenIdServer
    allowed_orgs: frozenset[str] = frozenset()
    sealer: Sealer = field(default_factory=lambda: Sealer(sealing_key("secret")))

    @property
    def config(self) -> SignInConfig:
        return SignInConfig(
            entra=EntraConfig(
                tenant=TENANT,
                client_id=CLIENT_ID,
                client_secret=CLIENT_SECRET,
                authority=self.entra.url,
                graph_url=self.graph.url,
            ),
            github=GithubConfig(
                client_id=CLIENT_ID,
                client_secret=CLIENT_SECRET,
                url=self.github.url,
                allowed_orgs=self.allowed_orgs,
            ),
            oidc=OidcConfig(issuer=self.oidc.url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET),
        )

    def replica(self, *, sealer: Sealer | None = None) -> GroupSync:
        providers = Providers(self.config, order=("entra", "github", "oidc"))
        return GroupSync(providers=providers, sealer=sealer or self.sealer, max_age=DAY)

    async def come_in(self, name: str) -> str:
        providers = Providers(self.config, order=(name,))
        now, session_id = datetime.now(UTC), new_id("ses")
        found = await signed_in(await providers.get(name))
        user_id = await record_sign_in(
            found, provider_name=providers.name_of(name), read_at=now, now=now, max_age=DAY
        )
        token = found.token and self.sealer.seal(found.token, row_id=session_id)
        await SESSIONS.begin(user_id, now=now, session_id=session_id, provider_token=token)
        return user_id


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[World]:
    entra, oidc = OpenIdServer(path=f"/{TENANT}/v2.0"), OpenIdServer()
    async with (
        entra.serving(),
        GraphServer().serving() as graph,
        GithubServer().serving() as github,
        oidc.serving(),
    ):
        yield World(entra, graph, github, oidc)


@pytest.fixture
def world(servers: World) -> World:
    servers.entra.reset(claims=dict(CLAIMS))
    servers.oidc.reset(claims={"sub": "ada"})
    servers.graph.reset()
    servers.github.reset()
    return World(servers.entra, servers.graph, servers.github, servers.oidc)


async def mapped(provider: str, *group_ids: str) -> None:
    for group_id in group_ids:
        await GroupMapping.create(
            id=new_id("map"),
            provider=provider,
            group_id=group_id,
            group_name=group_id,
            role=int(Role.VIEWER),
            instance_id=f"for-{group_id}",
        )


async def granted(user_id: str, *, at: datetime | None = None) -> list[str]:
    """Where the person's groups let them see something."""
    user = await User.get(id=user_id)
    grants = await grants_of([user], rules=GrantRules(group_max_age=DAY), now=at or datetime.now(UTC))
    return sorted(str(grant.scope.instance_id) for grant in grants[user_id])


async def groups_of(user_id: str) -> list[str]:
    return [row.group_id for row in await Membership.filter(user_id=user_id).order_by("group_id")]


@pytest.mark.usefixtures("database")
async def test_250_groups_of_entra_map_as_they_are(world: World) -> None:
    world.graph.groups, world.graph.page_size = [f"g{number}" for number in range(250)], 200
    await mapped("entra", "g0", "g199", "g200", "g249", "g250")
    await mapped("github", "g1")
    user_id = await world.come_in("entra")
    assert len(world.graph.asked) == 2
    assert await Membership.filter(user_id=user_id).count() == 250
    assert await granted(user_id) == ["for-g0", "for-g199", "for-g200", "for-g249"]


async def test_who_leaves_a_group_loses_what_it_gave(database: Database, world: World) -> None:
    world.graph.groups = ["ml", "ops"]
    await mapped("entra", "ml", "ops")
    user_id, sync = await world.come_in("entra"), world.replica()
    heard: list[Change] = []
    database.bus.subscribe(heard.append)

    world.graph.groups = ["ops", "new"]
    await sync.sync(now=datetime.now(UTC) + HOUR / 2)
    assert await granted(user_id) == ["for-ml", "for-ops"]
    assert heard == []
    await sync.sync(now=datetime.now(UTC) + HOUR * 1.5)
    assert await granted(user_id) == ["for-ops"]
    assert Change("user", user_id) in heard
    rows = await Membership.filter(user_id=user_id).order_by("group_id").values_list("group_id", "name")
    assert rows == [("new", "Group new"), ("ops", "Group ops")]


@pytest.mark.usefixtures("database")
async def test_with_graph_away_groups_stay_until_they_are_too_old(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.graph.groups = ["ml"]
    await mapped("entra", "ml")
    user_id, sync, now = await world.come_in("entra"), world.replica(), datetime.now(UTC)
    world.graph.status = 503

    await sync.sync(now=now + HOUR * 2)
    user = await User.get(id=user_id)
    assert user.groups_error is not None
    assert "did not answer" in user.groups_error
    assert f"groups of {user_id} (entra:{TENANT}/ada) can't be read" in caplog.text
    assert await granted(user_id, at=now + DAY - HOUR) == ["for-ml"]
    assert await granted(user_id, at=now + DAY + HOUR) == []

    asked = len(world.graph.asked)
    await sync.sync(now=now + HOUR * 2 + sync.again / 2)
    assert len(world.graph.asked) == asked
    world.graph.status = 200
    await sync.sync(now=now + HOUR * 2 + sync.again)
    assert (await User.get(id=user_id)).groups_error is None
    assert await granted(user_id, at=now + DAY + HOUR) == ["for-ml"]


@pytest.mark.usefixtures("database")
async def test_a_first_reading_that_fails_keeps_nobody_out_and_grants_nothing(world: World) -> None:
    world.graph.groups, world.graph.status = ["ml"], 403
    await mapped("entra", "ml")
    user_id = await world.come_in("entra")
    user = await User.get(id=user_id)
    assert user.groups_synced_at is None
    assert "administrator has to allow that" in (user.groups_error or "")
    assert await granted(user_id) == []
    world.graph.status = 200
    await world.replica().sync(now=datetime.now(UTC))
    assert await granted(user_id) == ["for-ml"]


@pytest.mark.usefixtures("database")
async def test_tokens_that_change_with_each_use_are_kept_sealed(world: World) -> None:
    user_id, now = await world.come_in("entra"), datetime.now(UTC)
    seen = set()
    for hours in (2, 4, 6):
        await world.replica().sync(now=now + HOUR * hours)
        user, row = await User.get(id=user_id), await Session.get(user_id=user_id)
        assert (user.groups_error, user.groups_synced_at) == (None, now + HOUR * hours)
        token = world.sealer.open(row.provider_token or "", row_id=row.id)
        assert token not in (row.provider_token or "")
        seen.add(token)
    assert len(seen) == 3


@pytest.mark.usefixtures("database")
async def test_a_token_that_is_refused_gives_way_to_another_sessions(world: World) -> None:
    world.github.organisations = [an_organisation(1)]
    first = await world.come_in("github")
    world.github.revoke_tokens()
    second = await world.come_in("github")
    assert first == second
    # The one that was refreshed last is tried first.
    older, newer = await Session.filter(user_id=first).order_by("id")
    await Session.filter(id=older.id).update(refreshed_at=newer.refreshed_at + HOUR)
    now, sync = datetime.now(UTC), world.replica()
    await sync.sync(now=now + HOUR * 2)
    assert (await User.get(id=first)).groups_error is None
    rows = await Session.filter(user_id=first).order_by("id")
    assert [row.provider_token is None for row in rows] == [True, False]

    world.github.revoke_tokens()
    await sync.sync(now=now + HOUR * 4)
    assert "Sign in again" in str((await User.get(id=first)).groups_error)
    assert [row.provider_token for row in await Session.filter(user_id=first)] == [None, None]


@pytest.mark.usefixtures("database")
async def test_of_two_replicas_one_reads(world: World) -> None:
    await world.come_in("entra")
    used = len(world.entra.shown)
    replicas = [world.replica() for _ in range(2)]
    await asyncio.gather(*(each.sync(now=datetime.now(UTC) + HOUR * 2) for each in replicas))
    assert len(world.entra.shown) == used + 1


@pytest.mark.usefixtures("database")
async def test_hidden_organisations_are_kept_until_they_are_too_old(world: World) -> None:
    world.github.organisations = [an_organisation(1), an_organisation(2)]
    world.github.teams = [a_team(5, 2)]
    await mapped("github", "1", "2", "2/5")
    user_id, sync, now = await world.come_in("github"), world.replica(), datetime.now(UTC)

    world.github.organisations, world.github.teams = [an_organisation(1)], []
    world.github.hides = "partial-results; organizations=2"
    await sync.sync(now=now + HOUR * 2)
    assert await granted(user_id) == ["for-1", "for-2", "for-2/5"]
    assert "single sign-on" in str((await User.get(id=user_id)).groups_error)

    await sync.sync(now=now + HOUR * 23)
    assert await granted(user_id, at=now + HOUR * 23.5) == ["for-1", "for-2", "for-2/5"]
    assert await granted(user_id, at=now + HOUR * 24.5) == ["for-1"]
    await sync.sync(now=now + HOUR * 25)
    assert await groups_of(user_id) == ["1"]


@pytest.mark.usefixtures("database")
async def test_who_may_no_longer_come_in_is_shown_out(world: World) -> None:
    world.allowed_orgs = frozenset({"9919"})
    world.github.organisations = [an_organisation(9919)]
    user_id, sync = await world.come_in("github"), world.replica()
    world.github.status = 503
    await sync.sync(now=datetime.now(UTC) + HOUR * 2)
    assert await Session.filter(user_id=user_id, revoked_at=None).count() == 1
    world.github.status, world.github.organisations = 200, []
    await sync.sync(now=datetime.now(UTC) + HOUR * 4)
    assert await Session.filter(user_id=user_id, revoked_at=None).count() == 0
    assert "no longer among those" in str((await User.get(id=user_id)).groups_error)


@pytest.mark.usefixtures("database")
async def test_a_seal_whose_key_is_lost_asks_for_a_new_sign_in(world: World) -> None:
    user_id = await world.come_in("oidc")
    sync = world.replica(sealer=Sealer(sealing_key("another secret")))
    await sync.sync(now=datetime.now(UTC) + HOUR * 2)
    assert "Sign in again" in str((await User.get(id=user_id)).groups_error)


@pytest.mark.usefixtures("database")
async def test_groups_that_nothing_can_read_again_are_said_to_be_too_old(world: World) -> None:
    world.oidc.answer = {"refresh_token": MISSING}
    world.oidc.claims["groups"] = ["ops"]
    user_id, sync, now = await world.come_in("oidc"), world.replica(), datetime.now(UTC)
    await sync.sync(now=now + DAY - HOUR)
    assert (await User.get(id=user_id)).groups_error is None
    await sync.sync(now=now + DAY + HOUR)
    assert "more than 24 hours ago" in str((await User.get(id=user_id)).groups_error)


@pytest.mark.usefixtures("database")
async def test_nobody_is_asked_about_people_who_have_gone(world: World) -> None:
    ended, switched_off = await world.come_in("github"), await world.come_in("oidc")
    await revoke_sessions(ended, now=datetime.now(UTC))
    await User.filter(id=switched_off).update(active=False)
    used = len(world.oidc.shown)
    await world.replica().sync(now=datetime.now(UTC) + HOUR * 2)
    assert len(world.oidc.shown) == used
    assert (await User.get(id=ended)).groups_synced_at == (await User.get(id=ended)).last_sign_in_at


@pytest.mark.usefixtures("database")
async def test_one_provider_that_is_down_keeps_no_other_waiting(world: World) -> None:
    broken, fine = await world.come_in("entra"), await world.come_in("oidc")
    world.entra.down = True
    world.oidc.claims["groups"] = ["ops"]
    await world.replica().sync(now=datetime.now(UTC) + HOUR * 2)
    assert (await User.get(id=broken)).groups_error is not None
    assert await groups_of(fine) == ["ops"]


@pytest.mark.usefixtures("database")
async def test_a_reading_that_began_earlier_does_not_win(world: World) -> None:
    user_id, now = await world.come_in("oidc"), datetime.now(UTC)
    newer, older = (Groups((Group(Provider.OIDC, name),)) for name in ("newer", "older"))
    assert await write_groups(user_id, newer, read_at=now + HOUR, max_age=DAY)
    assert not await write_groups(user_id, older, read_at=now, max_age=DAY)
    assert await groups_of(user_id) == ["newer"]


@pytest.mark.usefixtures("database")
async def test_no_token_is_in_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="auth")
    await world.come_in("entra")
    world.graph.status = 401
    await world.replica().sync(now=datetime.now(UTC) + HOUR * 2)
    assert "can't be read" in caplog.text
    for secret in (
        *world.graph.asked,
        *(each.get("refresh_token", CLIENT_SECRET) for each in world.entra.shown),
    ):
        assert secret not in caplog.text


async def test_without_providers_there_is_nothing_to_keep() -> None:
    providers = Providers(SignInConfig(), order=())
    async with asyncio.timeout(1):
        await GroupSync(providers=providers, sealer=Sealer(sealing_key("s")), max_age=DAY).keep_synced()
