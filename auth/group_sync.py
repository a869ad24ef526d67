"""Reading people's groups again while their sessions go on, with what the provider gave at sign-in.

Whoever leaves a group loses what it granted at the next reading. What can't be read is said in the log, and
to the person and administrators (`User.groups_error`). Groups that were read too long ago grant nothing:
`auth.effective` sees to that.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tortoise.expressions import Q

from auth.effective import person_of
from auth.groups import note_aged_groups, write_groups, write_groups_error
from auth.providers.catalogue import Providers
from auth.providers.errors import Expired, NotAdmitted, ProviderError
from auth.providers.types import Groups, GroupsRead
from auth.providers.words import aged_groups, groups_problem
from auth.session_rows import revoke_sessions
from models.errors import DatabaseUnavailable, RateLimited, SealBroken
from models.rates import Limit, count
from models.sealing import Sealer
from models.tables import Session, User

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
"""How old groups become before they are read again, or a quarter of GROUP_MAX_AGE if that is less."""
LOOK_EVERY = 30.0
"""Seconds between two looks for whose turn it is."""
AT_ONCE = 4
"""People whose groups are read at the same time."""


@dataclass(frozen=True, kw_only=True)
class GroupSync:
    providers: Providers
    sealer: Sealer
    max_age: timedelta
    """GROUP_MAX_AGE."""
    _at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE), init=False)
    _tried: dict[str, datetime] = field(default_factory=dict, init=False)
    """When this process last tried whose groups."""

    @property
    def every(self) -> timedelta:
        return min(EVERY, self.max_age / 4)

    @property
    def again(self) -> timedelta:
        """After how long what failed is tried again."""
        return self.every / 12

    async def keep_synced(self) -> None:
        """Endless: to be run as a task that has entered the database."""
        while any(True for _ in self.providers):
            try:
                await self.sync(now=datetime.now(UTC))
            except DatabaseUnavailable as error:
                log.info("groups are read later: %s", error)
            await asyncio.sleep(LOOK_EVERY)

    async def sync(self, *, now: datetime) -> None:
        """Read the groups of everybody whose turn it is, once over all replicas."""
        names = [each.id for each in self.providers]
        words = aged_groups(self.max_age)
        await note_aged_groups(read_before=now - self.max_age, providers=names, words=words)
        for user_id in [each for each, tried in self._tried.items() if now - tried >= self.again]:
            del self._tried[user_id]
        async with asyncio.TaskGroup() as tasks:
            for user_id, sessions in (await self._due(names, now)).items():
                tasks.create_task(self._take_turn(sessions, now), name=f"groups of {user_id}")

    async def _due(self, names: Sequence[str], now: datetime) -> Mapping[str, list[Session]]:
        """By person: the sessions that hold a token, the one refreshed last first."""
        old = Q(user__groups_synced_at=None) | Q(user__groups_synced_at__lt=now - self.every)
        lasting = Q(revoked_at=None, expires_at__gt=now, provider_token__not_isnull=True)
        rows = (
            await Session.filter(old, lasting, user__active=True, user__provider__in=names)
            .order_by("-refreshed_at")
            .select_related("user")
        )
        due: dict[str, list[Session]] = defaultdict(list)
        for row in rows:
            if row.user_id not in self._tried:
                due[row.user_id].append(row)
        return due

    async def _take_turn(self, sessions: Sequence[Session], now: datetime) -> None:
        """One failing person keeps no other from their turn."""
        user = sessions[0].user
        self._tried[user.id] = now
        async with self._at_once:
            try:
                # Of all replicas, whoever counts first has the turn.
                await count(user.id, Limit("reading groups", 1, self.again), now=now)
                await self._sync_person(user, sessions, now)
            except RateLimited:
                return
            except DatabaseUnavailable as error:
                log.info("groups of %s are read later: %s", user.id, error)
            except Exception:
                log.exception("groups of %s can't be read", user.id)

    async def _sync_person(self, user: User, sessions: Sequence[Session], now: datetime) -> None:
        groups = await self._groups(user, sessions)
        if not isinstance(groups, ProviderError):
            await write_groups(user.id, groups, read_at=now, max_age=self.max_age)
            return
        log.warning("groups of %s (%s) can't be read: %s", user.id, person_of(user), groups)
        if isinstance(groups, NotAdmitted):
            await revoke_sessions(user.id, now=now)
        words = groups_problem(groups, name=self.providers.name_of(user.provider))
        await write_groups_error(user.id, words)

    async def _groups(self, user: User, sessions: Sequence[Session]) -> Groups | ProviderError:
        """By the first session whose token the provider still takes."""
        problem: ProviderError = Expired("no session holds a token")
        for session in sessions:
            try:
                return (await self._read(user, session)).groups
            except Expired as error:
                problem = error
                await Session.filter(id=session.id, provider_token=session.provider_token).update(
                    provider_token=None
                )
            except ProviderError as error:
                return error
        return problem

    async def _read(self, user: User, session: Session) -> GroupsRead:
        """Keeps the token that comes of it. Raises `ProviderError`."""
        try:
            token = self.sealer.open(session.provider_token or "", row_id=session.id)
        except SealBroken as error:
            raise Expired(str(error)) from error
        provider = await self.providers.get(user.provider)
        read = await provider.read_groups(person_of(user), token=token)
        if read.token is not None and read.token != token:
            # Unless the session has ended meanwhile. `rekey` may have sealed the old one anew.
            lasting = Session.filter(id=session.id, provider_token__not_isnull=True)
            await lasting.update(provider_token=self.sealer.seal(read.token, row_id=session.id))
        return read
