"""People of a hub under test: signed in, and in groups as a provider would have told."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from auth.accounts import ensure_user, grant_role
from auth.identity import Provider
from auth.issuing import Sessions
from auth.people import Person
from auth.permissions import Role, Scope
from auth.sessions import SessionTokens
from models.bus import publish
from models.ids import new_id
from models.tables import Instance, Membership, User
from tests.support.hub import EVERYWHERE, HubUnderTest, hub_settings

NO_TIME = timedelta()


async def put_into_groups(
    user_id: str, group_ids: Iterable[str], *, ago: timedelta = NO_TIME, error: str | None = None
) -> None:
    """The person's groups are these, read so long ago. The caller has entered the database."""
    await Membership.filter(user_id=user_id).delete()
    read_at = datetime.now(UTC) - ago
    for group_id in group_ids:
        name = group_id.title()
        await Membership.create(
            id=new_id("mem"), user_id=user_id, group_id=group_id, name=name, read_at=read_at
        )
    await User.filter(id=user_id).update(groups_synced_at=read_at, groups_error=error)
    await publish("user", user_id)


async def register(*instance_ids: str) -> None:
    """The caller has entered the database."""
    for instance_id in instance_ids:
        await Instance.get_or_create(id=instance_id, defaults={"display_name": instance_id})


async def a_member(
    name: str, *group_ids: str, ago: timedelta = NO_TIME, display_name: str | None = None
) -> str:
    """Somebody of Entra in these groups; their id. The caller has entered the database."""
    user_id = await ensure_user(Person(Provider.ENTRA, name), display_name=display_name or name)
    await put_into_groups(user_id, group_ids, ago=ago)
    return user_id


async def sign_in(
    hub: HubUnderTest,
    name: str,
    role: Role | None = None,
    scope: Scope = EVERYWHERE,
    *,
    provider: Provider = Provider.DEMO,
) -> str:
    """The access token of a new session of a person with this one grant, or none."""
    sessions = Sessions(tokens=SessionTokens(keys=hub_settings(hub.credentials.parent).auth.key_ring()))
    with hub.running.database.entered():
        user_id = await ensure_user(Person(provider, name))
        if role is not None:
            await grant_role(user_id, role, scope, granted_by=None)
        issued = await sessions.begin(
            user_id, now=datetime.now(UTC), ip_address="192.0.2.7", user_agent="A browser"
        )
    return issued.access_token


async def id_of(hub: HubUnderTest, token: str) -> str:
    viewer = await hub.data(token, "{ viewer { id } }")
    user_id: str = viewer["viewer"]["id"]
    return user_id
