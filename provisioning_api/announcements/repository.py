"""All SQL on announcements."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.announcements.models import Announcement


class Announcements:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list(self) -> Sequence[Announcement]:
        """Return all, by serial number."""
        return (await self._session.scalars(select(Announcement).order_by(Announcement.serial))).all()

    async def find(self, serial: str) -> Announcement | None:
        return await self._session.get(Announcement, serial)

    async def add(self, row: Announcement) -> None:
        self._session.add(row)
        await self._session.flush()

    async def remove(self, row: Announcement) -> None:
        await self._session.delete(row)
        await self._session.flush()
