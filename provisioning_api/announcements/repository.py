"""All SQL on announcements."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from provisioning_api.announcements.models import Announcement
from soundstage.database.repository import Repository


class Announcements(Repository[Announcement]):
    async def list(self) -> Sequence[Announcement]:
        """Return all, by serial number."""
        return await self._all(select(Announcement).order_by(Announcement.serial))

    async def find(self, serial: str) -> Announcement | None:
        return await self._session.get(Announcement, serial)

    async def remove(self, row: Announcement) -> None:
        await self._session.delete(row)
        await self._session.flush()
