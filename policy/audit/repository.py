"""All SQL on audit lines. Nothing here changes or removes one; the words beside it can be forgotten."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit.head import Head
from policy.audit.models import AuditLine
from policy.principal import DEFAULT_TENANT

TENANT = "tenant"
"""Where a line says whose it is; one that does not say it is of the first tenant."""

# Made once: these two are part of every sentence that is said, and putting them together takes longest.
_LINES = cast(Table, AuditLine.__table__)
_LAST = select(_LINES.c.number, _LINES.c.sha256).order_by(_LINES.c.number.desc()).limit(1)
_ADD = insert(_LINES)


class AuditLines:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def last(self) -> Head | None:
        """Number and hash of the newest line."""
        found = (await self._session.execute(_LAST)).first()
        return None if found is None else Head(found.number, found.sha256)

    async def hash_of(self, number: int) -> str | None:
        """None when there is no such line."""
        return await self._session.scalar(select(AuditLine.sha256).where(AuditLine.number == number))

    async def add(self, lines: Sequence[Mapping[str, Any]]) -> None:
        await self._session.execute(_ADD, lines)

    async def after(self, number: int, limit: int, tenant: str | None = None) -> Sequence[AuditLine]:
        """Oldest first; of one tenant when it is named."""
        query = select(AuditLine).where(AuditLine.number > number, *_of(tenant))
        return (await self._session.scalars(query.order_by(AuditLine.number).limit(limit))).all()

    async def about(self, wanted: str, limit: int, tenant: str | None) -> Sequence[AuditLine]:
        """Lines of which it is the trace, the session or the subject."""
        matches = (AuditLine.trace_id == wanted, AuditLine.session_id == wanted, AuditLine.subject == wanted)
        query = select(AuditLine).where(or_(*matches), *_of(tenant)).order_by(AuditLine.number).limit(limit)
        return (await self._session.scalars(query)).all()

    async def of_traces(self, traces: Collection[str], limit: int, tenant: str | None) -> Sequence[AuditLine]:
        """Everything that belongs to these traces, oldest first."""
        query = select(AuditLine).where(AuditLine.trace_id.in_(traces), *_of(tenant))
        return (await self._session.scalars(query.order_by(AuditLine.number).limit(limit))).all()

    async def forget_words(self, kind: str, subjects: Collection[str]) -> list[int]:
        """Takes the words away from beside lines of this kind; the numbers of those that had any."""
        gone = (
            update(AuditLine)
            .where(AuditLine.kind == kind, AuditLine.subject.in_(subjects), AuditLine.words.is_not(None))
            .values(words=None)
            .returning(AuditLine.number)
        )
        return sorted((await self._session.execute(gone)).scalars())


def _of(tenant: str | None) -> tuple[ColumnElement[bool], ...]:
    if tenant is None:
        return ()
    return (func.coalesce(AuditLine.data[TENANT].as_string(), DEFAULT_TENANT) == tenant,)
