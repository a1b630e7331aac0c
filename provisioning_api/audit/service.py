"""Writes and checks the audit chain; every service of this room records its decisions and refusals here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from policy.acting_for import acting_for
from policy.audit.chain import GENESIS, chain_hash
from policy.audit.head import Head, HeadFile
from policy.audit.recorded_head import Origin, RecordedHead
from policy.audit.schemas import AuditVerdict
from policy.audit.verification import ChainCheck, judge
from provisioning_api.audit.models import AuditRecord
from provisioning_api.audit.repository import AuditRecords
from soundstage.database import Database, utcnow
from soundstage.paging import Page, PageRequest
from soundstage.request_source import request_source

PAGE = 1000
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
    """The chain of this process: keyed, and with a recorded head, like the studio's (`policy.audit`)."""

    def __init__(self, db: Database, head: HeadFile) -> None:
        self._db = db
        self._recorded_head = RecordedHead(db, AuditRecords, head)

    def make_key(self) -> None:
        """Makes the key of the lines unless there is one. Raises `audit.no_key`."""
        _ = self._recorded_head.key

    async def start(self) -> None:
        """Moves the recorded head on after a crash, and appends a record about it. Called once the database
        is migrated.
        """

        async def record(kind: str, data: Mapping[str, Any]) -> None:
            await self.record_now("soundstage", kind, "", data)

        await self._recorded_head.start(record)

    async def adopt_restored(self, restore_id: str) -> None:
        """Adopts the chain of a restored database, which another process has resumed; appends a record that
        says so where the chain does not hold the recorded head.
        """
        if not await self._recorded_head.is_in_chain():
            await self.reset_head("backup.adopted", {"restore": restore_id})

    async def reset_head(self, action: str, data: Mapping[str, Any]) -> None:
        """Records the head anew from the chain as it is now, and appends a record that says so."""
        await self._recorded_head.reset(lambda session: self.record(session, "soundstage", action, "", data))

    async def resume_restored_chain(self, action: str, *, accept_unproven: bool = False) -> Origin:
        """Resumes a restored chain, as the studio's log does; returns the origin of its lines.

        A chain that cannot be verified is left alone unless `accept_unproven`.
        """
        origin = await self._recorded_head.origin(self._walk)
        if origin.unproven and not accept_unproven:
            return origin
        await self.reset_head(action, origin.facts)
        return origin

    async def record(
        self,
        session: AsyncSession,
        actor: str,
        action: str,
        subject: str,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Appends a record in the caller's transaction, with the change that it describes."""
        last = await self._recorded_head.last_in(session)
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
            before=last.sha256 if last else GENESIS,
            sha256="",
        )
        record.sha256 = chain_hash(_content(record), self._recorded_head.key)
        await AuditRecords(session).add(record)
        self._recorded_head.advance(session, Head(record.number, record.sha256))

    async def record_now(self, actor: str, action: str, subject: str, data: Mapping[str, Any]) -> None:
        """Appends a record in a transaction of its own: a refused change is rolled back, its record stays."""
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
        """Checks each record, and the end of the chain against the recorded head."""
        check = ChainCheck(self._recorded_head.key)
        return await judge(check, self._recorded_head.verify(check, partial(self._walk, check)))

    def close(self) -> None:
        """Writes the head of the chain to its file; call it before the process ends."""
        self._recorded_head.close()

    async def _walk(self, check: ChainCheck) -> None:
        async with self._db.session() as session:
            while page := await AuditRecords(session).after(check.count, PAGE):
                for record in page:
                    check.add(record.number, record.before, record.sha256, _content(record))


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
