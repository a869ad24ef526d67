"""What the places of a grant have to be. Whether names are well-formed is the callers' to check."""

from collections.abc import Iterable

from auth.errors import InvalidRequest
from auth.permissions import Role, Scope
from models.tables import Instance


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
