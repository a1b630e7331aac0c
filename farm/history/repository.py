"""All SQL on measured runs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from farm.history.models import FarmRun
from soundstage.database.repository import Queries


class FarmRuns(Queries):
    async def all(self) -> Sequence[FarmRun]:
        """The oldest first."""
        return await self._all(select(FarmRun).order_by(FarmRun.ended_at, FarmRun.id))

    async def add(self, run: FarmRun, limit: int) -> None:
        """Stores a run and drops all but the last `limit` of its stage."""
        self._session.add(run)
        await self._session.flush()
        old = (
            select(FarmRun.id)
            .where(FarmRun.stage == run.stage)
            .order_by(FarmRun.ended_at.desc(), FarmRun.id.desc())
            .offset(limit)
        )
        ids = (await self._session.scalars(old)).all()
        if ids:
            await self._session.execute(delete(FarmRun).where(FarmRun.id.in_(ids)))
