"""All SQL on audit lines. Nothing here changes or removes one."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit.models import AuditLine


class AuditLines:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def last(self) -> AuditLine | None:
        return await self._session.scalar(select(AuditLine).order_by(AuditLine.number.desc()).limit(1))

    async def hash_of(self, number: int) -> str | None:
        """None when there is no such line."""
        return await self._session.scalar(select(AuditLine.sha256).where(AuditLine.number == number))

    async def add(self, line: AuditLine) -> None:
        self._session.add(line)
        await self._session.flush()

    async def after(self, number: int, limit: int) -> Sequence[AuditLine]:
        """Oldest first."""
        query = select(AuditLine).where(AuditLine.number > number).order_by(AuditLine.number).limit(limit)
        return (await self._session.scalars(query)).all()

    async def about(self, wanted: str, limit: int) -> Sequence[AuditLine]:
        """Lines of which it is the trace, the session or the subject."""
        matches = (AuditLine.trace_id == wanted, AuditLine.session_id == wanted, AuditLine.subject == wanted)
        query = select(AuditLine).where(or_(*matches)).order_by(AuditLine.number).limit(limit)
        return (await self._session.scalars(query)).all()

    async def of_traces(self, traces: Collection[str], limit: int) -> Sequence[AuditLine]:
        """Everything that belongs to these traces, oldest first."""
        query = select(AuditLine).where(AuditLine.trace_id.in_(traces))
        return (await self._session.scalars(query.order_by(AuditLine.number).limit(limit))).all()
