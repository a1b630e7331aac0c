"""All SQL on tickets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from farm.transfer.models import FarmTicket


class FarmTickets:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, task_id: str) -> FarmTicket | None:
        return await self._session.get(FarmTicket, task_id)

    async def add(self, ticket: FarmTicket) -> None:
        self._session.add(ticket)
        await self._session.flush()

    async def open(self) -> Sequence[FarmTicket]:
        """Returns tickets that nobody has closed, the oldest first."""
        found = await self._session.scalars(
            select(FarmTicket).where(FarmTicket.closed.is_(False)).order_by(FarmTicket.created_at)
        )
        return found.all()

    async def delete_expired(self, before: datetime) -> None:
        """Deletes closed tickets that expired before that time."""
        await self._session.execute(
            delete(FarmTicket).where(FarmTicket.closed.is_(True), FarmTicket.expires_at < before)
        )
