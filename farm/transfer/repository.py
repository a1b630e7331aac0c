"""All SQL on tickets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select

from farm.transfer.models import FarmTicket
from soundstage.database.repository import Repository


class FarmTickets(Repository[FarmTicket]):
    async def open(self) -> Sequence[FarmTicket]:
        """Returns open tickets, the oldest first."""
        return await self._all(
            select(FarmTicket).where(FarmTicket.closed.is_(False)).order_by(FarmTicket.created_at)
        )

    async def delete_expired(self, before: datetime) -> None:
        """Deletes closed tickets that expired before that time."""
        await self._session.execute(
            delete(FarmTicket).where(FarmTicket.closed.is_(True), FarmTicket.expires_at < before)
        )
