"""All SQL about API keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Table, bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from policy.keys.models import ApiKeyRow, EndedLoginRow
from soundstage.database.repository import Repository


class KnownKey(NamedTuple):
    """A key as it is stored: its hash and its rights."""

    id: str
    tenant: str
    name: str
    role: str
    scopes: list[str] | None
    sha256: str
    state: str
    expires_at: datetime | None
    created_by: str


# Made once, of columns and not of the class: it is asked with every request.
_BY_HASH = select(*(getattr(ApiKeyRow, name) for name in KnownKey._fields)).where(
    ApiKeyRow.sha256 == bindparam("hash")
)
_KEYS = cast(Table, ApiKeyRow.__table__)
_MARK_USED = (
    update(_KEYS)
    .where(_KEYS.c.id == bindparam("key"))
    .where(or_(_KEYS.c.last_used_at.is_(None), _KEYS.c.last_used_at < bindparam("unless_since")))
    .values(last_used_at=bindparam("now"))
)


async def mark_used(
    session: AsyncSession, key_ids: Collection[str], now: datetime, unless_since: datetime
) -> None:
    """Notes that these keys are used, each at most once per interval."""
    rows = [{"key": key, "unless_since": unless_since, "now": now} for key in sorted(key_ids)]
    await session.execute(_MARK_USED, rows)


class KeyRepository(Repository[ApiKeyRow]):
    """Reads and writes keys in the caller's session."""

    async def by_hash(self, sha256: str) -> KnownKey | None:
        found = (await self._session.execute(_BY_HASH, {"hash": sha256})).first()
        return None if found is None else KnownKey(*found)

    async def all(self, tenant: str | None) -> Sequence[ApiKeyRow]:
        """Oldest first; of one tenant, or of all (None)."""
        query = select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.id)
        if tenant is not None:
            query = query.where(ApiKeyRow.tenant == tenant)
        return await self._all(query)

    async def count(self, *, besides: str) -> int:
        """Counts the keys that there are or were, without those that `besides` made."""
        return await self._count(select(func.count(ApiKeyRow.id)).where(ApiKeyRow.created_by != besides))

    async def has_ended(self, login_id: str) -> bool:
        """Returns whether this login has been logged out."""
        query = select(EndedLoginRow.id).where(EndedLoginRow.id == login_id)
        return await self._session.scalar(query) is not None

    async def end_login(self, row: EndedLoginRow, now: datetime) -> bool:
        """Notes that a login has ended, and forgets those that have expired; False when it had ended."""
        await self._session.execute(delete(EndedLoginRow).where(EndedLoginRow.expires_at <= now))
        if await self.has_ended(row.id):
            return False
        self._session.add(row)
        await self._session.flush()
        return True
