"""All SQL on uploads that come in pieces."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, select

from soundstage.database.repository import Repository
from studio.uploads.models import ResumableUpload


class Uploads(Repository[ResumableUpload]):
    async def count_unfinished(self) -> tuple[int, int]:
        """Returns how many there are, and the bytes that they will have."""
        query = select(func.count(ResumableUpload.id), func.sum(ResumableUpload.length)).where(
            ResumableUpload.asset_id.is_(None)
        )
        count, length = (await self._session.execute(query)).one()
        return count, int(length or 0)

    async def list_unfinished(self, now: datetime) -> Sequence[ResumableUpload]:
        """Returns uploads that have not expired, oldest first; a tenant has few."""
        query = select(ResumableUpload).where(
            ResumableUpload.asset_id.is_(None), ResumableUpload.expires_at >= now
        )
        return await self._all(query.order_by(ResumableUpload.created_at))

    async def list_expired(self, now: datetime, without: Collection[str], limit: int) -> Sequence[str]:
        """Ids of those whose time is over, oldest first."""
        query = select(ResumableUpload.id).where(
            ResumableUpload.expires_at < now, ResumableUpload.id.not_in(without)
        )
        return await self._all(query.order_by(ResumableUpload.expires_at).limit(limit))
