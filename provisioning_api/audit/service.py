"""Writes and checks the audit chain; every service of this room records its decisions and refusals here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit.chain import BEGINNING, link
from policy.representing import represented
from provisioning_api.audit.models import AuditRecord
from provisioning_api.audit.repository import AuditRecords
from soundstage.database import Database, utcnow

PAGE = 1000
BEHIND = "on_behalf_of"
"""Where a record names the person for whom its actor, a program, has acted."""


class AuditView(BaseModel):
    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    data: dict[str, Any]
    sha256: str


class Verdict(BaseModel):
    """`broken_at`: the first record that does not fit the one before it; None when all do."""

    records: int
    broken_at: int | None


class AuditLog:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def record(
        self,
        session: AsyncSession,
        actor: str,
        action: str,
        subject: str,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Appends in the caller's transaction, with the change that it tells of."""
        records = AuditRecords(session)
        number, before = await records.last() or (0, BEGINNING)
        person = represented()
        behind = {} if person is None else {BEHIND: person.facts()}
        record = AuditRecord(
            number=number + 1,
            at=utcnow(),
            actor=actor[:200],
            action=action,
            subject=subject[:200],
            data={**(data or {}), **behind},
            before=before,
            sha256="",
        )
        record.sha256 = _digest(record)
        await records.add(record)

    async def note(self, actor: str, action: str, subject: str, data: Mapping[str, Any]) -> None:
        """In a transaction of its own: what was refused is rolled back, and the record of it must stay."""
        async with self._db.transaction() as session:
            await self.record(session, actor, action, subject, data)

    async def read(self, after: int, limit: int, subject: str | None = None) -> list[AuditView]:
        async with self._db.session() as session:
            found = await AuditRecords(session).after(after, limit, subject)
        return [AuditView.model_validate(record, from_attributes=True) for record in found]

    async def verify(self) -> Verdict:
        """Walks the whole chain."""
        before, count = BEGINNING, 0
        async with self._db.session() as session:
            while page := await AuditRecords(session).after(count, PAGE):
                for record in page:
                    fits = (
                        record.number == count + 1
                        and record.before == before
                        and record.sha256 == _digest(record)
                    )
                    if not fits:
                        return Verdict(records=count, broken_at=count + 1)
                    before, count = record.sha256, record.number
        return Verdict(records=count, broken_at=None)


def _digest(record: AuditRecord) -> str:
    return link(
        [
            record.number,
            record.at.isoformat(),
            record.actor,
            record.action,
            record.subject,
            record.data,
            record.before,
        ]
    )
