"""All SQL on spans."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select

from provisioning_api.timeline.models import SpanRow
from soundstage.database.repository import Repository

MAX_SPANS = 500


class Spans(Repository[SpanRow]):
    async def of_machine(self, machine_id: str, since: datetime | None) -> Sequence[SpanRow]:
        """The oldest first."""
        query = select(SpanRow).where(SpanRow.machine_id == machine_id)
        if since is not None:
            query = query.where(SpanRow.started_at >= since)
        return await self._all(query.order_by(SpanRow.started_at, SpanRow.id))

    async def prune(self, machine_id: str) -> None:
        """A machine that restarts all night must not fill the disk: the newest are kept."""
        of_machine = SpanRow.machine_id == machine_id
        oldest_retained = (
            select(SpanRow.id).where(of_machine).order_by(SpanRow.id.desc()).offset(MAX_SPANS - 1).limit(1)
        )
        if (oldest := await self._session.scalar(oldest_retained)) is not None:
            await self._session.execute(delete(SpanRow).where(of_machine, SpanRow.id < oldest))
