"""The places of grants, mappings and tokens. Whether names are well-formed is the callers' to check."""

from collections.abc import Iterable

from tortoise.transactions import in_transaction

from auth.errors import InvalidRequest
from auth.permissions import Role, Scope
from models.bus import publish
from models.tables import AccessToken, GroupMapping, Instance, RoleAssignment


def check_scope(role: Role, scope: Scope) -> None:
    """Raises `InvalidRequest` for an ADMIN with a place, or for an empty list of namespaces."""
    if scope.namespaces == ():
        raise InvalidRequest(
            "No namespace is no grant: name some, or leave them out for all", path="namespaces"
        )
    if role is Role.ADMIN and scope != Scope():
        path = "namespaces" if scope.instance_id is None else "instanceId"
        raise InvalidRequest("An admin is one everywhere: leave instance and namespaces out", path=path)


async def check_registered(instance_ids: Iterable[str], *, path: str = "instanceId") -> None:
    """Raises `InvalidRequest` unless all are registered: nobody prepares rights for a name to come.

    Inside a transaction they stay so until its end: who removes one has to wait.
    """
    names = sorted(set(instance_ids))
    if not names:
        return
    rows = Instance.filter(id__in=names, removed_at=None).select_for_update()
    known = {row.id for row in await rows.only("id")}
    for name in names:
        if name not in known:
            raise InvalidRequest(f"There is no instance {name!r}: register it first", path=path)


async def forget_instance(instance_id: str) -> None:
    """Take back every right that names the instance: whoever registers the name again begins with none.

    Inside the transaction that marks the instance as removed, behind that mark.
    """
    async with in_transaction():
        grants = RoleAssignment.filter(instance_id=instance_id)
        for user_id in {row.user_id for row in await grants}:
            await publish("user", user_id)
        await grants.delete()
        if await GroupMapping.filter(instance_id=instance_id).delete():
            await publish("mappings")
        for token in await AccessToken.filter(instance_ids__not_isnull=True):  # JSON can't be asked on SQLite
            if instance_id in (token.instance_ids or ()):
                # A token without any instance left is one without rights; null would be one without limits.
                rest = [name for name in token.instance_ids or () if name != instance_id]
                await AccessToken.filter(id=token.id).update(instance_ids=rest)
                await publish("token", token.id)
