"""Registering instances, changing and removing them.

Whoever changes one is answered once this replica acts on the change, or after a second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from tortoise.transactions import in_transaction

from auth.errors import Conflict
from auth.places import forget_instance
from auth.policy import Permit
from cluster.feed import Fleet
from cluster.types import InstanceStatus
from cluster.wakeups import until
from credentials.errors import Refused
from models.bus import publish
from models.tables import Instance as InstanceRow
from resolvers.credential_sources import CredentialSources
from resolvers.errors import BadInput, NotFound
from resolvers.instances import InstanceView, registered_instance
from resolvers.registry import Registry

SEEN_WITHIN = 1.0
"""Seconds."""
LONGEST_NAME = 256


class Kept(msgspec.Struct, frozen=True):
    """A field that an update leaves as it is."""


KEPT = Kept()


class InstanceChange(msgspec.Struct, frozen=True):
    """None clears: the name is displayed again, the directory's file is used again."""

    display_name: str | Kept | None = KEPT
    kubeconfig: str | Kept | None = KEPT

    def __repr__(self) -> str:
        return "<InstanceChange>"


@dataclass(frozen=True)
class Registrar:
    """The use cases. Names are the caller's to check. All may raise DatabaseUnavailable."""

    fleet: Fleet
    registry: Registry
    sources: CredentialSources
    fixed: str | None = None
    """Why instances are those that there are, in local mode."""

    async def register(
        self, *, permit: Permit, instance_id: str, display_name: str | None, kubeconfig: str | None
    ) -> InstanceView:
        """A new instance, or a removed one again, which begins without anybody's rights; with a kubeconfig,
        or with the file that lies in the credentials directory. Raises BadInput and `auth.errors.Conflict`.
        """
        self._check_open(permit)
        name = None if display_name is None else _display_name(display_name)
        sealed, digest = self._sealed(instance_id, kubeconfig)
        if sealed is None:
            self._check_file(instance_id, path="name")
        elif self.sources.has_file(instance_id):
            raise Conflict(_has_file(instance_id))
        async with in_transaction():
            row = await _locked(instance_id)
            if row is None or row.removed_at is not None:
                await _begin(instance_id, name or instance_id, sealed, known=row is not None)
            elif row.kubeconfig is not None:
                raise Conflict(f"{instance_id} is registered: change it with updateInstance")
            else:  # it is a file's, or was one's
                await _change(row, {} if name is None else {"display_name": name}, sealed)
            await publish("instances", instance_id)
        return await self._shown(instance_id, self._works_with(instance_id, digest))

    async def update(self, *, permit: Permit, instance_id: str, change: InstanceChange) -> InstanceView:
        """Change what is told. A change of nothing confirms the cluster that answers, if it is another one.

        Raises NotFound, BadInput and `auth.errors.Conflict`.
        """
        self._check_open(permit, display_name_alone=isinstance(change.kubeconfig, Kept))
        fields: dict[str, str | None] = {}
        if not isinstance(change.display_name, Kept):
            named = change.display_name
            fields["display_name"] = instance_id if named is None else _display_name(named)
        sealed, digest = (None, None)
        if isinstance(change.kubeconfig, str):
            sealed, digest = self._sealed(instance_id, change.kubeconfig)
        if change == InstanceChange():
            fields["cluster_uid"] = None
        async with in_transaction():
            row = await _locked(instance_id)
            if row is None or row.removed_at is not None:
                raise NotFound
            if sealed is not None and row.kubeconfig is None and self.sources.has_file(instance_id):
                raise Conflict(_has_file(instance_id))
            if change.kubeconfig is None and row.kubeconfig is not None:
                self._check_file(instance_id, path="kubeconfig")
                fields["kubeconfig"] = None
            if not isinstance(change.kubeconfig, Kept) and row.cluster_uid is None:
                fields["cluster_uid"] = self._answers(instance_id)
            await _change(row, fields, sealed)
            await publish("instances", instance_id)
        shown = self._works_with(instance_id, digest)
        if change == InstanceChange():
            return await self._shown(instance_id, lambda: shown() and not self._fails(instance_id))
        return await self._shown(instance_id, shown)

    async def remove(self, *, permit: Permit, instance_id: str) -> None:
        """End its watches and take back every right on it; it stays removed until it is registered again.

        Raises NotFound.
        """
        self._check_open(permit)
        gone = {"removed_at": datetime.now(UTC), "kubeconfig": None, "cluster_uid": None}
        async with in_transaction():
            if not await InstanceRow.filter(id=instance_id, removed_at=None).update(**gone):
                raise NotFound
            await forget_instance(instance_id)
            await publish("instances", instance_id)
        await self._until(lambda: instance_id not in self.fleet.feeds)

    # ------------------------------------------------------------ within

    def _answers(self, instance_id: str) -> str | None:
        """The cluster that the name stands for by what answers now: the registry writes it down only some
        moments after the first sync, and whatever a new kubeconfig leads to is held to it."""
        feed = self.fleet.feeds.get(instance_id)
        return feed.state.cluster_uid if feed is not None and feed.state.live else None

    def _check_open(self, permit: Permit, *, display_name_alone: bool = False) -> None:
        _check_permit(permit)
        if self.fixed is not None and not display_name_alone:
            raise Conflict(self.fixed)

    def _sealed(self, instance_id: str, kubeconfig: str | None) -> tuple[str | None, str | None]:
        """Sealed for the instance, with the digest of the credential. Raises BadInput."""
        if kubeconfig is None:
            return None, None
        try:
            credential = self.sources.judge(instance_id, kubeconfig)
        except Refused as refusal:
            raise BadInput(("kubeconfig", refusal.reason)) from None  # its cause may know the kubeconfig
        return self.sources.seal(instance_id, kubeconfig), credential.digest

    def _check_file(self, instance_id: str, *, path: str) -> None:
        file = f"{instance_id}.kubeconfig"
        if not self.sources.has_file(instance_id):
            raise BadInput(
                (path, f"there is no file {file} in the credentials directory: put it there, or send one")
            )
        if (problem := self.sources.problem_with_file(instance_id)) is not None:
            raise BadInput((path, f"the file {file} can't be used: {problem}"))

    def _works_with(self, instance_id: str, digest: str | None) -> Callable[[], bool]:
        def works() -> bool:
            credential = self.fleet.credential(instance_id)
            return (
                instance_id in self.fleet.feeds
                and credential is not None
                and digest in (None, credential.digest)
            )

        return works

    def _fails(self, instance_id: str) -> bool:
        return self.fleet.feeds[instance_id].state.status is InstanceStatus.ERROR

    async def _until(self, condition: Callable[[], bool]) -> None:
        await self.registry.load()
        await until(self.fleet, condition, within=SEEN_WITHIN)

    async def _shown(self, instance_id: str, condition: Callable[[], bool]) -> InstanceView:
        await self._until(condition)
        view = registered_instance(fleet=self.fleet, registry=self.registry, instance_id=instance_id)
        if view is None:  # removed by somebody else meanwhile
            raise NotFound
        return view


def _check_permit(permit: Permit) -> None:
    if permit.identity is None or not permit.scopes:
        raise NotFound


def _display_name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadInput(("displayName", f"must be 1 to {LONGEST_NAME} characters on one line"))
    return name


def _has_file(instance_id: str) -> str:
    return (
        f"The credentials directory has a file {instance_id}.kubeconfig: change that, or take it away before "
        "a kubeconfig is sent"
    )


async def _locked(instance_id: str) -> InstanceRow | None:
    return await InstanceRow.filter(id=instance_id).select_for_update().first()


async def _begin(instance_id: str, display_name: str, sealed: str | None, *, known: bool) -> None:
    fields = {"display_name": display_name, "kubeconfig": sealed, "cluster_uid": None, "removed_at": None}
    if not known:
        _, created = await InstanceRow.get_or_create(id=instance_id, defaults=fields)
        if created:
            return  # else its file was found at the same moment
    else:
        await forget_instance(instance_id)  # what was given by hand while it was removed
    await InstanceRow.filter(id=instance_id).update(**fields, updated_at=datetime.now(UTC))


async def _change(row: InstanceRow, fields: dict[str, str | None], sealed: str | None) -> None:
    changed = fields | ({} if sealed is None else {"kubeconfig": sealed})
    if changed:
        await InstanceRow.filter(id=row.id).update(**changed, updated_at=datetime.now(UTC))
