"""Writes, reads and checks the audit chain; the wrappers of tools, approvals and renders record here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit.chain import GENESIS, chain_hash
from policy.audit.head import Head, HeadFile
from policy.audit.models import AuditLine
from policy.audit.recorded_head import Origin, RecordedHead
from policy.audit.redactable import COMMITMENTS, commitments, detach, matches, render
from policy.audit.repository import ALL_LINES, TENANT, AuditFilter, AuditLines, ChainHead
from policy.audit.schemas import AuditHead, AuditLineOut, AuditTrail, AuditVerdict
from policy.audit.verification import ChainBrokenError, ChainCheck, judge
from policy.principal import DEFAULT_TENANT
from soundstage.database import Database, in_transaction, utcnow
from soundstage.database.storable import storable
from soundstage.errors import NotFound
from soundstage.one_line import printable
from soundstage.paging import Page, PageRequest
from soundstage.request_source import request_source
from soundstage.telemetry.masking import without_secrets
from soundstage.tracing import trace_id as current_trace_id

PAGE = 1000
TRAIL_LINES = 5000
MAX_TEXT = 2000
TEXT_REDACTED = "words.forgotten"
LINES = "lines"
SOURCE = "source"
"""Where a line holds the address of the request that caused it."""
_HASHED = ("number", "at", "kind", "actor", "subject", "trace_id", "session_id", "data", "before")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """The content of a line: `kind` is `noun.verb`, `subject` the id of what it is about; of one tenant."""

    kind: str
    actor: str
    subject: str = ""
    session_id: str | None = None
    trace_id: str | None = None
    tenant: str = DEFAULT_TENANT
    data: Mapping[str, Any] = field(default_factory=dict)
    redactable: Mapping[str, str] = field(default_factory=dict)
    """Texts that are stored outside the hash, which covers a salted commitment to them: they can be redacted.
    Readers find them in `data`.
    """


class AuditLog:
    """The chain of one database, an HMAC of each line under a key that is not in the database. Its head
    (number and hash of the last line) is recorded in a file.
    """

    def __init__(self, db: Database, head: HeadFile) -> None:
        self._db = db
        self._recorded_head = RecordedHead(db, ChainHead, head)

    async def start(self) -> None:
        """Moves the recorded head on after a crash, and appends a line about it. Called once the database is
        migrated.
        """

        async def record(kind: str, data: Mapping[str, Any]) -> None:
            await self.record_now(AuditEntry(kind, "soundstage", data=data))

        await self._recorded_head.start(record)

    async def record(self, session: AsyncSession, *entries: AuditEntry) -> None:
        """Appends lines in the transaction of the change that they describe; secrets are masked."""
        if not in_transaction(session):
            raise RuntimeError("audit lines are written inside Database.transaction()")
        last = await self._recorded_head.last_in(session)
        key = self._recorded_head.key
        rows: list[dict[str, Any]] = []
        for entry in entries:
            stored = detach(_storable(entry.redactable)) if entry.redactable else None
            row = {
                "number": last.number + 1 if last else 1,
                "at": utcnow(),
                "kind": entry.kind,
                "actor": _plain(entry.actor),
                "subject": _plain(entry.subject),
                "trace_id": entry.trace_id or current_trace_id(),
                "session_id": entry.session_id,
                "data": _chained(entry, stored),
                "before": last.sha256 if last else GENESIS,
            }
            last = Head(int(str(row["number"])), chain_hash(_content(row), key))
            rows.append({**row, "words": stored, "sha256": last.sha256})
        await ChainHead(session).add(rows)
        self._recorded_head.advance(session, last)

    async def record_now(self, entry: AuditEntry) -> None:
        """Appends a line in a transaction of its own: a refused change is rolled back, its line must stay."""
        async with self._db.transaction() as session:
            await self.record(session, entry)

    async def redact(
        self, session: AsyncSession, kind: str, subjects: Collection[str], of: AuditEntry
    ) -> int:
        """Redacts the texts of lines of `kind` about these subjects, in the caller's transaction. Returns how
        many lines it redacted.

        `of` is the line that records it: without one, `verify` reports missing text as a change.
        """
        lines = AuditLines(session)
        numbers = [number for some in _pages(subjects) for number in await lines.redact(kind, list(some))]
        if numbers:
            await self.record(session, replace(of, kind=TEXT_REDACTED, data={**of.data, LINES: numbers}))
        return len(numbers)

    async def adopt_restored(self, restore_id: str) -> None:
        """Adopts the chain of a restored database, which another process has resumed; appends a line that
        says so where the chain does not hold the recorded head.
        """
        if not await self._recorded_head.is_in_chain():
            await self.reset_head(AuditEntry("backup.adopted", "soundstage", data={"restore": restore_id}))

    async def reset_head(self, entry: AuditEntry) -> None:
        """Records the head anew from the chain as it is now, and appends a line that says so: after a
        restore, or when an administrator accepts what `verify` reported. Changed lines stay reported.
        """
        await self._recorded_head.reset(lambda session: self.record(session, entry))

    async def resume_restored_chain(self, entry: AuditEntry, *, accept_unproven: bool = False) -> Origin:
        """Resumes a restored chain whose lines the key of this installation proves; returns their origin.

        Otherwise nothing is written, and no key is created: the right one may still be restored. With
        `accept_unproven` a person resumes all the same, and the appended line holds the number of unproven
        lines.
        """
        origin = await self._recorded_head.origin(lambda check: self._walk(check, set()))
        if origin.unproven and not accept_unproven:
            return origin
        await self.reset_head(replace(entry, data={**entry.data, **origin.facts}))
        return origin

    async def head(self) -> AuditHead | None:
        """Returns the head of the chain, to be pinned elsewhere; None while the log is empty."""
        async with self._db.session() as session:
            lines = await AuditLines(session).newest(1, None)
        return AuditHead.model_validate(lines[0], from_attributes=True) if lines else None

    async def read(
        self, after: int, limit: int, tenant: str | None = None, criteria: AuditFilter = ALL_LINES
    ) -> list[AuditLineOut]:
        """Returns lines after a number, oldest first. Tenant None: of all tenants (local administrator)."""
        async with self._db.session() as session:
            lines = await AuditLines(session).after(after, limit, tenant, criteria)
        return [_out(line) for line in lines]

    async def find_page(
        self,
        tenant: str | None,
        request: PageRequest,
        *,
        newest_first: bool = False,
        criteria: AuditFilter = ALL_LINES,
    ) -> Page[AuditLineOut]:
        """Returns a page of lines from a cursor on. Tenant None: of all tenants (local administrator)."""
        async with self._db.session() as session:
            page = await AuditLines(session).page(tenant, newest_first, request, criteria)
            return page.of([_out(line) for line in page.items])

    async def newest(self, limit: int, tenant: str | None = None) -> list[AuditLineOut]:
        """Returns the last lines, oldest first. Tenant None: of all tenants (local administrator)."""
        async with self._db.session() as session:
            lines = await AuditLines(session).newest(limit, tenant)
        return [_out(line) for line in lines]

    async def last_of(self, kind: str) -> datetime | None:
        """Returns when the newest line of a kind was written, of whichever tenant; None without one."""
        async with self._db.session() as session:
            return await AuditLines(session).last_of(kind)

    async def first_at(self) -> datetime | None:
        """Returns when the log begins; None for an empty one."""
        async with self._db.session() as session:
            return await AuditLines(session).first_at()

    async def trail(self, record_id: str, tenant: str | None = None) -> AuditTrail:
        """Returns all lines of the traces that a trace, session, render or approval id appears in. Raises
        NotFound `audit.record_not_found`.
        """
        async with self._db.session() as session:
            lines = AuditLines(session)
            found = {line.number: line for line in await lines.about(record_id, TRAIL_LINES, tenant)}
            traces = {line.trace_id for line in found.values() if line.trace_id is not None}
            if traces:
                found |= {line.number: line for line in await lines.of_traces(traces, TRAIL_LINES, tenant)}
        if not found:
            raise NotFound(
                "audit.record_not_found",
                f"The audit log has no line about {record_id!r}.",
                "Give the id of a trace, a session, a render or an approval.",
            )
        return AuditTrail(id=record_id, lines=[_out(found[number]) for number in sorted(found)])

    async def verify(self, pinned: Head | None = None) -> AuditVerdict:
        """Checks each line, and the end of the chain against the recorded head and one `pinned` elsewhere.

        The text of a line may be missing when a later line of the chain records its redaction.
        """
        check = ChainCheck(self._recorded_head.key)
        missing_text: set[int] = set()
        walk = partial(self._walk, check, missing_text)
        verdict = await judge(check, self._recorded_head.verify(check, walk, pinned))
        if missing_text and verdict.broken_at is None:
            return AuditVerdict(
                lines=check.count,
                broken_at=min(missing_text),
                code="audit.words_missing",
                reason="its text was removed without a record of it",
            )
        return verdict

    async def _walk(self, check: ChainCheck, missing_text: set[int]) -> None:
        """Checks all lines after those that were checked already. Raises `ChainBrokenError`."""
        async with self._db.session() as session:
            while page := await AuditLines(session).after(check.count, PAGE):
                for line in page:
                    content = _content({name: getattr(line, name) for name in _HASHED})
                    check.add(line.number, line.before, line.sha256, content)
                    if not matches(line.data, line.words):
                        raise ChainBrokenError(
                            line.number, "audit.words_changed", "the redactable text of the line was changed"
                        )
                    if line.words is None and line.data.get(COMMITMENTS):
                        missing_text.add(line.number)
                    if line.kind == TEXT_REDACTED:
                        missing_text.difference_update(line.data[LINES])

    def close(self) -> None:
        """Writes the head of the chain to its file; call it before the process ends."""
        self._recorded_head.close()


def _content(line: Mapping[str, Any]) -> list[Any]:
    """Returns what the hash of a line covers."""
    return [line["at"].isoformat() if name == "at" else line[name] for name in _HASHED]


def _chained(entry: AuditEntry, stored: Mapping[str, Any] | None) -> dict[str, Any]:
    data = _storable(entry.data if entry.tenant == DEFAULT_TENANT else _of_tenant(entry))
    if (source := request_source()) is not None:
        data.setdefault(SOURCE, source)
    return {**data, COMMITMENTS: commitments(stored)} if stored else data


def _out(line: AuditLine) -> AuditLineOut:
    out = AuditLineOut.model_validate(line)
    if not line.data.get(COMMITMENTS):
        return out
    return out.model_copy(update={"data": render(line.data, line.words)})


def _pages(subjects: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Yields the subjects in chunks that fit one statement."""
    waiting = iter(subjects)
    while some := tuple(islice(waiting, PAGE)):
        yield some


def _plain(text: str) -> str:
    return printable(text, "�")[:200]


def _storable(data: Mapping[str, Any]) -> dict[str, Any]:
    return {storable(name): _short(value) for name, value in without_secrets(data).items()}


def _of_tenant(entry: AuditEntry) -> dict[str, Any]:
    """Returns the data with the tenant, which is hashed: moving a line to another tenant breaks the chain."""
    return {**entry.data, TENANT: entry.tenant}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        value = storable(value)
        return value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]}… ({len(value)} characters)"
    if isinstance(value, Mapping):
        return {storable(str(name)): _short(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_short(inner) for inner in value]
    return value
