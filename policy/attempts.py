"""Limits the rate of wrong keys and links per source and over all; right keys pass meanwhile. Used by the
authenticator.
"""

from __future__ import annotations

import math

from fastapi.requests import HTTPConnection

from policy.keys.service import KeyService, hash_key
from policy.revocation import KeyChanges
from soundstage.database import Database
from soundstage.errors import SoundstageError
from soundstage.rate_limits import Rate, RateLimiter
from soundstage.request_source import peer_address

PER_SOURCE = Rate(burst=30, per_minute=30)
SHARED = Rate(burst=600, per_minute=600)


class FailedAttempts:
    """Counts failures. Where there were too many, a key is looked up in memory before it is refused: it costs
    a flood no question to the database, and callers with a valid key do not notice the flood. A new key
    counts in a flood after `CACHE_TTL_S`.
    """

    def __init__(self, db: Database, keys: KeyService, changes: KeyChanges) -> None:
        self._db = db
        self._keys = keys
        self._changes = changes
        self._limiter = RateLimiter(PER_SOURCE, SHARED)
        self._digests: frozenset[str] = frozenset()
        self._read_at: int | None = None

    async def begin(self, connection: HTTPConnection, key: str | None = None) -> bool:
        """Take a token for an attempt, and return whether one was there. Raises `auth.too_many_failures` when
        there was none, and `key` is not a key of this installation either.
        """
        wait_s = self._limiter.take(_source(connection))
        if wait_s <= 0:
            return True
        if key is not None and hash_key(key) in await self._known_digests():
            return False
        raise SoundstageError(
            "auth.too_many_failures",
            "There were too many wrong keys or links, from here or from everywhere.",
            "Try again after the seconds in `Retry-After`. A right key is not slowed down.",
            429,
            headers={"Retry-After": str(math.ceil(wait_s))},
        )

    def succeed(self, connection: HTTPConnection) -> None:
        """Put the token of a right attempt back."""
        self._limiter.refund(_source(connection))

    async def _known_digests(self) -> frozenset[str]:
        seq = await self._changes.last_change_seq()
        if seq != self._read_at:
            async with self._db.session() as session:
                self._digests = await self._keys.usable_digests(session)
            self._read_at = seq
        return self._digests


def _source(connection: HTTPConnection) -> str:
    return peer_address(connection.scope) or ""
