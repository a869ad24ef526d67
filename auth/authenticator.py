"""From a credential to an identity, with no database on the hot path.

An identity younger than a second is served from memory. Who comes for an older one waits for the one query
that is under way. While the database is out of reach, a session that was recognised before goes on until
its own end; an access token doesn't, because it may have been revoked meanwhile.
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
from models.errors import DatabaseUnavailable
from models.tables import AccessToken

SLICE = 50
"""Credentials that are refreshed together. Reading 50 people's rows holds the event loop for about 5 ms."""
USAGE_INTERVAL = 60.0
"""Seconds between writings of `last_used_at`."""


class _Entry(NamedTuple):
    proof: Proof
    """Kept, because verifying a signature again costs more than all the rest."""
    outcome: Identity | Reason | None
    """None: the database couldn't be asked."""
    loaded_at: float


class Authenticator:
    """Recognises credentials. Its callers have entered the database."""

    def __init__(
        self,
        *,
        sessions: SessionTokens,
        rules: GrantRules,
        fresh_for: float = 1.0,
        capacity: int = 10_000,
    ) -> None:
        """`fresh_for` is in seconds; `capacity` bounds how many outcomes are remembered."""
        self._sessions = sessions
        self._rules = rules
        self._fresh_for = fresh_for
        self._capacity = capacity
        self._known: OrderedDict[str, _Entry] = OrderedDict()
        self._flights: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._used_tokens: set[str] = set()

    async def authenticate(self, credential: str) -> Identity:
        """Who shows this access token or session token. Raises `Unauthenticated`, `IdentityUnavailable`."""
        proof = self._proof(credential)
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
        """Ask the database anew about all of them, `SLICE` at a time, each slice in three queries."""
        answers: dict[str, Identity | AuthError] = {}
        proofs: dict[str, Proof] = {}
        for credential in credentials:
            try:
                proofs[credential] = self._proof(credential)
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

    def _proof(self, credential: str) -> Proof:
        entry = self._known.get(credential)
        if entry is not None:
            _check_end(entry.proof.expires_at if isinstance(entry.proof, SessionClaims) else None)
            return entry.proof
        if is_access_token(credential):
            return TokenDigest(digest_of(credential))
        return self._sessions.verify(credential)

    def _fresh(self, credential: str) -> _Entry | None:
        entry = self._known.get(credential)
        return entry if entry and time.monotonic() - entry.loaded_at < self._fresh_for else None

    async def _load(self, proofs: Mapping[str, Proof]) -> dict[str, _Entry]:
        found: dict[str, Identity | Reason | None]
        try:
            outcomes = await load_identities(set(proofs.values()), rules=self._rules, now=datetime.now(UTC))
        except DatabaseUnavailable:
            found = {credential: self._last_known(credential) for credential in proofs}
        else:
            found = {credential: outcomes[proof] for credential, proof in proofs.items()}
        now = time.monotonic()
        entries = {
            credential: _Entry(proofs[credential], outcome, now) for credential, outcome in found.items()
        }
        for credential, entry in entries.items():
            self._known[credential] = entry
            self._known.move_to_end(credential)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return entries

    def _last_known(self, credential: str) -> Identity | None:
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
