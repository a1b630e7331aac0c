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
