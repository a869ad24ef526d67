"""From a credential to an identity, with no database on the hot path.

An identity younger than a second is served from memory, unless a change was told that concerns it
(`models.bus`). Who comes for an older one waits for the one query that is under way. While the database is
out of reach, a session that was recognised before goes on until its token's end; an access token doesn't,
because it may have been revoked meanwhile.

A request needs a session's token that hasn't expired. What was opened with one lasts as long as its session.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple
from weakref import WeakValueDictionary

from auth.effective import GrantRules
from auth.errors import AuthError, IdentityUnavailable, Reason, Unauthenticated
from auth.identity import Identity, Method
from auth.lookup import Proof, TokenDigest, load_identities
from auth.sessions import SessionClaims, SessionTokens
from auth.tokens import digest_of, is_access_token
from models.bus import Change, Kind
from models.errors import DatabaseUnavailable
from models.tables import AccessToken

SLICE = 50
"""Credentials that are refreshed together. Reading 50 people's rows holds the event loop for about 5 ms."""
CHANGES = 10_000
"""Changes that are remembered singly; with more, everything counts as changed."""
USAGE_INTERVAL = 60.0
"""Seconds between writings of `last_used_at`."""


class _Entry(NamedTuple):
    proof: Proof
    """Kept, because verifying a signature again costs more than all the rest."""
    outcome: Identity | Reason | None
    """None: the database couldn't be asked."""
    loaded_at: float
    """By `time.monotonic`, when the database had answered."""
    told: int
    """How many changes had been told before the database was asked: later ones it may not know of."""


class Authenticator:
    """Recognises credentials. Its callers have entered the database."""

    def __init__(
        self,
        *,
        sessions: SessionTokens,
        rules: GrantRules,
        everybody: Identity | None = None,
        fresh_for: float = 1.0,
        capacity: int = 10_000,
    ) -> None:
        """`everybody`: who anybody is, whatever they show, in local mode. `fresh_for` is in seconds;
        `capacity` bounds how many outcomes are remembered."""
        self.everybody = everybody
        self._sessions = sessions
        self._rules = rules
        self._fresh_for = fresh_for
        self._capacity = capacity
        self._known: OrderedDict[str, _Entry] = OrderedDict()
        self._flights: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._used_tokens: set[str] = set()
        self._told = 0
        self._everything_changed = 0
        """The last change that may concern anybody, by its number."""
        self._changed: dict[tuple[Kind, str], int] = {}
        """The last change of a person, a session or a token, by its number."""

    def heed(self, change: Change) -> None:
        """Serve nothing from memory that the change concerns. A subscriber of the change bus."""
        if change.kind == "audit":
            return
        self._told += 1
        if change.kind in ("user", "session", "token") and len(self._changed) < CHANGES:
            self._changed[change.kind, change.id] = self._told
        else:
            self._everything_changed = self._told
            self._changed.clear()

    def is_outdated(self, credential: str) -> bool:
        """Whether a change was told that what is remembered of the credential may not know of."""
        entry = self._known.get(credential)
        return entry is None or (entry.told < self._told and entry.told < self._last_change(entry))

    def _last_change(self, entry: _Entry) -> int:
        """The number of the last change that may concern it."""
        if not isinstance(entry.outcome, Identity):
            return self._told  # whose it is isn't known
        identity = entry.outcome
        kind: Kind = "token" if identity.method is Method.ACCESS_TOKEN else "session"
        keys: tuple[tuple[Kind, str], ...] = (("user", identity.user_id), (kind, identity.credential_id))
        return max(self._everything_changed, *(self._changed.get(key, 0) for key in keys))

    async def authenticate(self, credential: str) -> Identity:
        """Who shows this access token or session token. Raises `Unauthenticated`, `IdentityUnavailable`."""
        return self.everybody or await self._recognise(credential, self._proof(credential))

    async def reauthenticate(self, credential: str) -> Identity:
        """As `authenticate`, for more on a connection that was opened with it."""
        if self.everybody is not None:
            return self.everybody
        return await self._recognise(credential, self._proof(credential, even_expired=True))

    async def _recognise(self, credential: str, proof: Proof) -> Identity:
        entry = self._fresh(credential)
        if entry is None:
            async with self._flights.setdefault(credential, asyncio.Lock()):
                # Whoever held the lock before may have loaded it.
                entry = self._fresh(credential) or (await self._load({credential: proof}))[credential]
        identity = _judge(entry.outcome)
        if identity.method is Method.ACCESS_TOKEN:
            self._used_tokens.add(identity.credential_id)
        return identity

    async def refresh(self, credentials: Iterable[str]) -> dict[str, Identity | AuthError]:
        """Ask the database anew about all that something was opened with, `SLICE` at a time."""
        if self.everybody is not None:
            return dict.fromkeys(credentials, self.everybody)
        answers: dict[str, Identity | AuthError] = {}
        proofs: dict[str, Proof] = {}
        for credential in credentials:
            try:
                proofs[credential] = self._proof(credential, even_expired=True)
            except Unauthenticated as error:
                answers[credential] = error
        remaining = iter(proofs.items())
        while part := dict(islice(remaining, SLICE)):
            for credential, entry in (await self._load(part)).items():
                try:
                    answers[credential] = _judge(entry.outcome)
                except AuthError as error:
                    answers[credential] = error
        return answers

    async def keep_usage_recorded(self) -> None:
        """Endless: to be run as a task that has entered the database."""
        while True:
            await asyncio.sleep(USAGE_INTERVAL)
            await self.record_usage()

    async def record_usage(self) -> None:
        """Write down the tokens that were used since the last time; kept for the next if that fails."""
        used, self._used_tokens = self._used_tokens, set()
        try:
            if used:
                await AccessToken.filter(id__in=used).update(last_used_at=datetime.now(UTC))
        except DatabaseUnavailable:
            self._used_tokens |= used

    def _proof(self, credential: str, *, even_expired: bool = False) -> Proof:
        entry = self._known.get(credential)
        if entry is not None:
            if isinstance(entry.proof, SessionClaims) and not even_expired:
                _check_end(entry.proof.expires_at)
            return entry.proof
        if is_access_token(credential):
            return TokenDigest(digest_of(credential))
        return self._sessions.verify(credential, even_expired=even_expired)

    def _fresh(self, credential: str) -> _Entry | None:
        entry = self._known.get(credential)
        if entry is None or self.is_outdated(credential):
            return None
        return entry if time.monotonic() - entry.loaded_at < self._fresh_for else None

    async def _load(self, proofs: Mapping[str, Proof]) -> dict[str, _Entry]:
        told = self._told
        found: dict[str, Identity | Reason | None]
        try:
            outcomes = await load_identities(set(proofs.values()), rules=self._rules, now=datetime.now(UTC))
        except DatabaseUnavailable:
            found = {credential: self._last_known(credential, proof) for credential, proof in proofs.items()}
        else:
            found = {credential: outcomes[proof] for credential, proof in proofs.items()}
        now = time.monotonic()
        entries = {
            credential: _Entry(proofs[credential], outcome, now, told)
            for credential, outcome in found.items()
        }
        for credential, entry in entries.items():
            self._known[credential] = entry
            self._known.move_to_end(credential)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return entries

    def _last_known(self, credential: str, proof: Proof) -> Identity | Reason | None:
        if isinstance(proof, SessionClaims) and proof.expires_at <= datetime.now(UTC):
            return Reason.TOKEN_EXPIRED
        entry = self._known.get(credential)
        if entry and isinstance(entry.outcome, Identity) and entry.outcome.method is Method.SESSION:
            return entry.outcome
        return None


def _check_end(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise Unauthenticated(Reason.TOKEN_EXPIRED)


def _judge(outcome: Identity | Reason | None) -> Identity:
    if outcome is None:
        raise IdentityUnavailable("The database is out of reach, so nobody can be recognised")
    if isinstance(outcome, Reason):
        raise Unauthenticated(outcome)
    _check_end(outcome.expires_at)
    return outcome
