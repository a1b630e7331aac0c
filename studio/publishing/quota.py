"""Counts the units that YouTube gives per day, so that we stop before it says no; used by the publisher."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone

from soundstage.database import Database, utcnow
from soundstage.settings import YoutubeSettings
from studio.publishing.errors import PublishError, QuotaUsedUp
from studio.publishing.repository import Quota
from studio.publishing.schemas import QuotaView

# The day begins at midnight in California. Summer time is left out: at worst we wait an hour too long.
PACIFIC = timezone(timedelta(hours=-8))


class UploadQuota:
    def __init__(self, db: Database, settings: YoutubeSettings) -> None:
        self._db = db
        self._limit = settings.quota_units

    async def consume(self, units: int) -> None:
        """Counts units that are about to be used; raises QuotaUsedUp when there are not so many left."""
        day = _day(utcnow())
        async with self._db.transaction() as session:
            quota = Quota(session)
            used = await quota.units_used(day)
            if used + units > self._limit:
                raise QuotaUsedUp(by_local_count=True)
            await quota.set(day, used + units)

    @asynccontextmanager
    async def reserve(self, units: int) -> AsyncIterator[None]:
        """Reserves units for the call inside; releases them when it fails, as YouTube charges for success."""
        await self.consume(units)
        try:
            yield
        except PublishError:
            await self._release(units)
            raise

    async def mark_exhausted(self) -> None:
        """Records that YouTube reports no units left, whatever was counted here."""
        async with self._db.transaction() as session:
            await Quota(session).set(_day(utcnow()), self._limit)

    async def _release(self, units: int) -> None:
        day = _day(utcnow())
        async with self._db.transaction() as session:
            quota = Quota(session)
            await quota.set(day, max(0, await quota.units_used(day) - units))

    async def view(self) -> QuotaView:
        now = utcnow()
        async with self._db.session() as session:
            used = await Quota(session).units_used(_day(now))
        return QuotaView(day=_day(now), used=used, limit=self._limit, resets_at=resets_at(now))


def resets_at(now: datetime) -> datetime:
    """The next midnight of YouTube's calendar, in UTC."""
    there = now.astimezone(PACIFIC)
    midnight = there.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return midnight.astimezone(now.tzinfo)


def _day(now: datetime) -> str:
    return now.astimezone(PACIFIC).date().isoformat()
