"""Writes and checks the audit chain; every service of this room records its decisions and refusals here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from policy.acting_for import acting_for
from policy.audit.chain import BEGINNING, link
from policy.audit.head import Head, HeadFile
from policy.audit.recorded_end import Origin, RecordedEnd, Written
from policy.audit.schemas import AuditVerdict
from policy.audit.verification import KEYED, ChainCheck, judge
from provisioning_api.audit.models import AuditRecord
from provisioning_api.audit.repository import AuditRecords
from soundstage.database import Database, on_commit, utcnow
from soundstage.paging import Page, PageRequest
from soundstage.request_source import request_source

PAGE = 1000
_END = "provisioning_audit_end"
BEHIND = "on_behalf_of"
"""Where a record names the person for whom its actor, a program, has acted."""


SOURCE = "source"
"""Where a record holds the address of the request that caused it."""


class AuditView(BaseModel):
    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    data: dict[str, Any]
    sha256: str


class AuditLog:
    """The chain of this process: keyed, and with a recorded end, like the studio's (`policy.audit`)."""

    def __init__(self, db: Database, head: HeadFile) -> None:
        self._db = db
        self._end = RecordedEnd(db, AuditRecords, head)

    async def start(self) -> None:
        """Move the recorded end on after a crash; called once the database is migrated."""

        async def note(kind: str, data: Mapping[str, Any]) -> None:
            await self.note("soundstage", kind, "", data)

        await self._end.start(note, self.accept_end)

    async def accept_end(self, action: str, data: Mapping[str, Any]) -> None:
        """Go on from the chain as it is now, with a record that says so."""
        await self._end.forget()
        async with self._db.transaction() as session:
            session.info[_END] = await AuditRecords(session).last()
            on_commit(session, lambda: self._end.record_commit(session.info[_END]))
            await self.record(session, "soundstage", action, "", data)

    async def go_on_restored(self, action: str, *, accept_unproven: bool = False) -> Origin:
        """Go on from a chain that was put back, as the studio's log does; return where its lines come from.

        Lines that nothing proves are left alone unless `accept_unproven` says otherwise.
        """
        origin = await self._end.origin(self._walk)
        if origin.unproven and not accept_unproven:
            return origin
        if origin.written is Written.UNKEYED:
            await self.accept_end(KEYED, origin.facts)
        await self.accept_end(action, origin.facts)
        return origin

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
        # Nobody else writes meanwhile, so the end of the chain is looked up once in a transaction.
        if _END not in session.info:
            session.info[_END] = await records.last()
            if await self._end.fits(records, session.info[_END]):
                on_commit(session, lambda: self._end.record_commit(session.info[_END]))
        last: Head | None = session.info[_END]
        person = acting_for()
        behind = {} if person is None else {BEHIND: person.facts()}
        source = request_source()
        origin = {} if source is None else {SOURCE: source}
        record = AuditRecord(
            number=last.number + 1 if last else 1,
            at=utcnow(),
            actor=actor[:200],
            action=action,
            subject=subject[:200],
            data={**origin, **(data or {}), **behind},
            before=last.sha256 if last else BEGINNING,
            sha256="",
        )
        record.sha256 = link(_content(record), self._end.key)
        await records.add(record)
        session.info[_END] = Head(record.number, record.sha256)

    async def note(self, actor: str, action: str, subject: str, data: Mapping[str, Any]) -> None:
        """In a transaction of its own: what was refused is rolled back, and the record of it must stay."""
        async with self._db.transaction() as session:
            await self.record(session, actor, action, subject, data)

    async def read(self, after: int, limit: int, subject: str | None = None) -> list[AuditView]:
        async with self._db.session() as session:
            found = await AuditRecords(session).after(after, limit, subject)
        return [AuditView.model_validate(record, from_attributes=True) for record in found]

    async def find_page(
        self, subject: str | None, request: PageRequest, *, newest_first: bool = False
    ) -> Page[AuditView]:
        """Records of one subject, or all, from the place of a cursor on."""
        async with self._db.session() as session:
            page = await AuditRecords(session).page(subject, newest_first, request)
        return page.of([AuditView.model_validate(one, from_attributes=True) for one in page.items])

    async def verify(self) -> AuditVerdict:
        """Check each record, and the end against the recorded one."""
        check = ChainCheck(self._end.key)
        return await judge(check, self._end.verify(check, partial(self._walk, check)))

    def close(self) -> None:
        """Record the end of the chain; before the process ends."""
        self._end.close()

    async def _walk(self, check: ChainCheck) -> None:
        async with self._db.session() as session:
            while page := await AuditRecords(session).after(check.count, PAGE):
                for record in page:
                    check.add(record.number, record.action, record.before, record.sha256, _content(record))


def _content(record: AuditRecord) -> list[Any]:
    """Returns what the hash of a record covers."""
    return [
        record.number,
        record.at.isoformat(),
        record.actor,
        record.action,
        record.subject,
        record.data,
        record.before,
    ]
