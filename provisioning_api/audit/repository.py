"""All SQL on audit records. Nothing here changes or removes one."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from policy.audit.head import Head
from provisioning_api.audit.models import AuditRecord
from soundstage.database.repository import Repository
from soundstage.paging import Order, Page, PageRequest, select_page


class AuditRecords(Repository[AuditRecord]):
    async def last(self) -> Head | None:
        """Number and hash of the newest record, which the next one builds on."""
        query = select(AuditRecord.number, AuditRecord.sha256).order_by(AuditRecord.number.desc()).limit(1)
        found = (await self._session.execute(query)).first()
        return None if found is None else Head(found.number, found.sha256)

    async def hash_of(self, number: int) -> str | None:
        """None when there is no such record."""
        query = select(AuditRecord.sha256).where(AuditRecord.number == number)
        return (await self._session.execute(query)).scalar()

    async def page(self, subject: str | None, newest_first: bool, request: PageRequest) -> Page[AuditRecord]:
        order = Order(AuditRecord.number, descending=newest_first, has_number=True)
        scope = {"subject": subject, "newest_first": newest_first}
        where = () if subject is None else (AuditRecord.subject == subject,)
        return await select_page(self._session, AuditRecord, order, request, where=where, scope=scope)

    async def after(self, number: int, limit: int, subject: str | None = None) -> Sequence[AuditRecord]:
        """Oldest first."""
        query = (
            select(AuditRecord).where(AuditRecord.number > number).order_by(AuditRecord.number).limit(limit)
        )
        if subject is not None:
            query = query.where(AuditRecord.subject == subject)
        return await self._all(query)
