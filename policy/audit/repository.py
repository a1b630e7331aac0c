"""All SQL on audit lines. Nothing here changes or removes one; their redactable text can be removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, bindparam, func, insert, or_, select, true, update

from policy.audit.head import Head
from policy.audit.models import AuditLine
from policy.principal import DEFAULT_TENANT
from soundstage.database.repository import Queries
from soundstage.paging import Order, Page, PageRequest, select_page

TENANT = "tenant"
"""Where a line says whose it is; one that does not say it is of the first tenant."""

_LINES = cast(Table, AuditLine.__table__)
_LAST = select(_LINES.c.number, _LINES.c.sha256).order_by(_LINES.c.number.desc()).limit(1)
_HASH = select(_LINES.c.sha256).where(_LINES.c.number == bindparam("number"))
_ADD = insert(_LINES)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Selects lines of kinds that begin with `kind`, by `actor`, and `about` an id that is their subject,
    session or trace. Empty ones exclude nothing.
    """

    kind: str = ""
    actor: str = ""
    about: str = ""

    def conditions(self) -> tuple[ColumnElement[bool], ...]:
        found: list[ColumnElement[bool]] = []
        if self.kind:
            found.append(AuditLine.kind.startswith(self.kind, autoescape=True))
        if self.actor:
            found.append(AuditLine.actor == self.actor)
        if self.about:
            found.append(_is_about(self.about))
        return tuple(found)


ALL_LINES = AuditFilter()


class ChainHead(Queries):
    """Reads the head of the chain and appends lines to it."""

    async def last(self) -> Head | None:
        """Returns number and hash of the newest line."""
        found = (await self._session.execute(_LAST)).first()
        return None if found is None else Head(*found)

    async def hash_of(self, number: int) -> str | None:
        """None when there is no such line."""
        found: str | None = await self._session.scalar(_HASH, {"number": number})
        return found

    async def add(self, lines: Sequence[Mapping[str, Any]]) -> None:
        await self._session.execute(_ADD, lines)


class AuditLines(Queries):
    async def after(
        self, number: int, limit: int, tenant: str | None = None, criteria: AuditFilter = ALL_LINES
    ) -> Sequence[AuditLine]:
        """Oldest first; of one tenant when it is named."""
        query = select(AuditLine).where(AuditLine.number > number, *_of(tenant), *criteria.conditions())
        return await self._all(query.order_by(AuditLine.number).limit(limit))

    async def page(
        self, tenant: str | None, newest_first: bool, request: PageRequest, criteria: AuditFilter = ALL_LINES
    ) -> Page[AuditLine]:
        """Of one tenant when it is named."""
        order = Order(AuditLine.number, descending=newest_first, has_number=True)
        scope = {"of": tenant, "newest_first": newest_first, **asdict(criteria)}
        where = (*_of(tenant), *criteria.conditions())
        return await select_page(self._session, AuditLine, order, request, where=where, scope=scope)

    async def last_of(self, kind: str) -> datetime | None:
        """Returns when the newest line of a kind was written. Reads the whole table."""
        found: datetime | None = await self._session.scalar(
            select(func.max(AuditLine.at)).where(AuditLine.kind == kind)
        )
        return found

    async def first_at(self) -> datetime | None:
        """Returns when the first line was written."""
        found: datetime | None = await self._session.scalar(select(AuditLine.at).where(AuditLine.number == 1))
        return found

    async def newest(self, limit: int, tenant: str | None) -> Sequence[AuditLine]:
        """The last ones, oldest first."""
        query = select(AuditLine).where(*_of(tenant)).order_by(AuditLine.number.desc()).limit(limit)
        return (await self._all(query))[::-1]

    async def about(self, record_id: str, limit: int, tenant: str | None) -> Sequence[AuditLine]:
        """Returns lines of which it is the trace, the session or the subject."""
        query = (
            select(AuditLine)
            .where(_is_about(record_id), *_of(tenant))
            .order_by(AuditLine.number)
            .limit(limit)
        )
        return await self._all(query)

    async def of_traces(self, traces: Collection[str], limit: int, tenant: str | None) -> Sequence[AuditLine]:
        """Everything that belongs to these traces, oldest first."""
        query = select(AuditLine).where(AuditLine.trace_id.in_(traces), *_of(tenant))
        return await self._all(query.order_by(AuditLine.number).limit(limit))

    async def redact(self, kind: str | None, subjects: Collection[str]) -> list[int]:
        """Removes the redactable text of lines of this kind, or of all kinds, about these subjects; returns
        the numbers of those that had any.
        """
        of_kind = true() if kind is None else AuditLine.kind == kind
        gone = (
            update(AuditLine)
            .where(of_kind, AuditLine.subject.in_(subjects), AuditLine.words.is_not(None))
            .values(words=None)
            .returning(AuditLine.number)
        )
        return sorted((await self._session.execute(gone)).scalars())


def _is_about(record_id: str) -> ColumnElement[bool]:
    return or_(
        AuditLine.trace_id == record_id, AuditLine.session_id == record_id, AuditLine.subject == record_id
    )


def _of(tenant: str | None) -> tuple[ColumnElement[bool], ...]:
    if tenant is None:
        return ()
    return (func.coalesce(AuditLine.data[TENANT].as_string(), DEFAULT_TENANT) == tenant,)
