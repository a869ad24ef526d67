"""The groups of people as they are written down, each with when the provider last named it.

Every function runs in a task that has entered the database and may raise `models.errors.DatabaseUnavailable`.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from tortoise.expressions import Q
from tortoise.transactions import in_transaction

from auth.providers.types import Groups
from auth.providers.words import groups_notice
from models.bus import publish
from models.ids import new_id
from models.tables import Membership, User


async def write_groups(user_id: str, groups: Groups, *, read_at: datetime, max_age: timedelta) -> bool:
    """The person's groups are now these. `read_at` is when the reading of them began; False if later ones are
    there already.

    Of those that the provider hides, the ones known from before stay for as long as they are not too old.
    """
    async with in_transaction():
        older = Q(groups_synced_at=None) | Q(groups_synced_at__lt=read_at)
        # First of all: it makes others wait who write the same person's.
        updated = await User.filter(older, id=user_id).update(
            groups_synced_at=read_at, groups_error=groups_notice(groups)
        )
        if updated:
            await _replace(user_id, groups, read_at, oldest=read_at - max_age)
            await publish("user", user_id)
    return bool(updated)


async def write_groups_error(user_id: str, words: str) -> None:
    """Why they couldn't be read. What was read before goes on until it is too old."""
    async with in_transaction():
        if await User.filter(Q(groups_error=None) | ~Q(groups_error=words), id=user_id).update(
            groups_error=words
        ):
            await publish("user", user_id)


async def note_aged_groups(*, read_before: datetime, providers: Collection[str], words: str) -> None:
    """Say it to everybody whose groups have just become too old, unless a reason is there already."""
    aged = User.filter(groups_synced_at__lt=read_before, groups_error=None, provider__in=list(providers))
    await aged.update(groups_error=words)


async def _replace(user_id: str, groups: Groups, read_at: datetime, *, oldest: datetime) -> None:
    found = {group.group_id: group.name for group in groups.found}
    known = {row.group_id: row for row in await Membership.filter(user_id=user_id)}
    hidden = {
        group_id
        for group_id, row in known.items()
        if group_id not in found and group_id.partition("/")[0] in groups.hidden and row.read_at > oldest
    }
    gone = [row.id for group_id, row in known.items() if group_id not in found and group_id not in hidden]
    if gone:
        await Membership.filter(id__in=gone).delete()
    await Membership.filter(user_id=user_id, group_id__not_in=list(hidden)).update(read_at=read_at)
    for group_id, name in found.items():
        if name is not None and group_id in known and known[group_id].name != name:
            await Membership.filter(id=known[group_id].id).update(name=name)
    await Membership.bulk_create(
        Membership(id=new_id("mem"), user_id=user_id, group_id=group_id, name=name, read_at=read_at)
        for group_id, name in found.items()
        if group_id not in known
    )
