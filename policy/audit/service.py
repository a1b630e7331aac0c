"""Writes, reads and checks the audit chain; the wrappers of tools, approvals and renders record here."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit.chain import BEGINNING, link
from policy.audit.head import Head, HeadFile
from policy.audit.head_writer import HeadWriter
from policy.audit.models import AuditLine
from policy.audit.repository import TENANT, AuditLines, ChainEnd
from policy.audit.schemas import AuditLineOut, AuditVerdict, Story
from policy.audit.words import WORDS, beside, fit, hashes, read
from policy.principal import DEFAULT_TENANT
from soundstage.database import Database, Writing, in_transaction, utcnow, when_committed
from soundstage.database.storable import storable
from soundstage.errors import NotFound
from soundstage.telemetry import get_logger
from soundstage.telemetry.masking import without_secrets
from soundstage.tracing import trace_id as current_trace_id

PAGE = 1000
STORY_LINES = 5000
MAX_TEXT = 2000
WORDS_FORGOTTEN = "words.forgotten"
LINES = "lines"
_END = "policy_audit_end"
_HASHED = ("number", "at", "kind", "actor", "subject", "trace_id", "session_id", "data", "before")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What a line tells: `kind` is `noun.verb`, `subject` the id of what it is about; of one tenant."""

    kind: str
    actor: str
    subject: str = ""
    session_id: str | None = None
    trace_id: str | None = None
    tenant: str = DEFAULT_TENANT
    data: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    """What stands beside the line and can be forgotten; a reader finds it among `data`."""


class AuditLog:
    """The chain of one database. Whoever may write to the database alone cannot bend it without being seen:
    the last hash also stands in a file beside it.
    """

    def __init__(self, db: Database, head: HeadFile | None = None) -> None:
        self._db = db
        self._writer = None if head is None else HeadWriter(head)
        self._log = get_logger(__name__)

    async def record(self, session: Writing, *entries: AuditEntry) -> None:
        """Appends in the caller's transaction, with the change that it tells of; secrets are masked."""
        if not in_transaction(session):
            raise RuntimeError("audit lines are written inside Database.transaction() or brief()")
        lines = ChainEnd(session)
        # Nobody else writes meanwhile, so the end of the chain is looked up once in a transaction.
        if _END not in session.info:
            session.info[_END] = await lines.last()
            if self._writer is not None and await self._head_fits(lines, session.info[_END]):
                when_committed(session, lambda: self._committed(session))
        last: Head | None = session.info[_END]
        rows: list[dict[str, Any]] = []
        for entry in entries:
            words = beside(_told(entry.words)) if entry.words else None
            row = {
                "number": last.number + 1 if last else 1,
                "at": utcnow(),
                "kind": entry.kind,
                "actor": _plain(entry.actor),
                "subject": _plain(entry.subject),
                "trace_id": entry.trace_id or current_trace_id(),
                "session_id": entry.session_id,
                "data": _chained(entry, words),
                "before": last.sha256 if last else BEGINNING,
            }
            last = Head(int(str(row["number"])), _digest(row))
            rows.append({**row, "words": words, "sha256": last.sha256})
        await lines.add(rows)
        session.info[_END] = last

    async def note(self, entry: AuditEntry) -> None:
        """In a transaction of its own: what was refused is rolled back, and the line about it must stay."""
        async with self._db.brief() as session:
            await self.record(session, entry)

    async def forget_words(
        self, session: AsyncSession, kind: str, subjects: Collection[str], of: AuditEntry
    ) -> int:
        """Takes away what stands beside lines of `kind` about these subjects, in the caller's transaction.

        Gives how many. `of` is the line that says so: without one, missing words are a change like any other.
        """
        lines = AuditLines(session)
        numbers = [
            number for some in _pages(subjects) for number in await lines.forget_words(kind, list(some))
        ]
        if numbers:
            await self.record(session, replace(of, kind=WORDS_FORGOTTEN, data={**of.data, LINES: numbers}))
        return len(numbers)

    async def begin_anew(self, entry: AuditEntry) -> None:
        """After a backup was put back: its chain goes on with a line that says so."""
        if self._writer is not None:
            await asyncio.to_thread(self._writer.forget)
        await self.note(entry)

    async def read(self, after: int, limit: int, tenant: str | None = None) -> list[AuditLineOut]:
        """Oldest first; of one tenant, or all for the user of this machine."""
        async with self._db.session() as session:
            lines = await AuditLines(session).after(after, limit, tenant)
        return [_out(line) for line in lines]

    async def newest(self, limit: int, tenant: str | None = None) -> list[AuditLineOut]:
        """The last lines, oldest first; of one tenant, or all for the user of this machine."""
        async with self._db.session() as session:
            lines = await AuditLines(session).newest(limit, tenant)
        return [_out(line) for line in lines]

    async def story(self, wanted: str, tenant: str | None = None) -> Story:
        """All lines of the traces that have to do with a trace, session, render or approval id."""
        async with self._db.session() as session:
            lines = AuditLines(session)
            found = {line.number: line for line in await lines.about(wanted, STORY_LINES, tenant)}
            traces = {line.trace_id for line in found.values() if line.trace_id is not None}
            if traces:
                found |= {line.number: line for line in await lines.of_traces(traces, STORY_LINES, tenant)}
        if not found:
            raise NotFound(
                "audit.no_story",
                f"The audit log knows nothing of {wanted!r}.",
                "Give the id of a trace, a session, a render or an approval.",
            )
        return Story(id=wanted, lines=[_out(found[number]) for number in sorted(found)])

    async def verify(self) -> AuditVerdict:
        """Walks the whole chain, and compares its end with the file beside it.

        Words may be missing beside a line when a later line of the chain says that they were forgotten.
        """
        try:
            head = None if self._writer is None else await asyncio.to_thread(self._writer.read)
        except ValueError as error:
            return AuditVerdict(lines=0, broken_at=0, reason=str(error))
        before, count, at_head = BEGINNING, 0, None
        wordless: set[int] = set()
        async with self._db.session() as session:
            while page := await AuditLines(session).after(count, PAGE):
                for line in page:
                    if reason := _misfit(line, count, before):
                        return AuditVerdict(lines=count, broken_at=count + 1, reason=reason)
                    before, count = line.sha256, line.number
                    if line.words is None and line.data.get(WORDS):
                        wordless.add(count)
                    if line.kind == WORDS_FORGOTTEN:
                        wordless.difference_update(line.data[LINES])
                    if head is not None and head.number == count:
                        at_head = line.sha256
        if head is not None and head.number > count:
            return AuditVerdict(lines=count, broken_at=count + 1, reason="lines at the end are missing")
        if head is not None and head.sha256 != at_head:
            return AuditVerdict(lines=count, broken_at=head.number, reason="the chain was written anew")
        if wordless:
            return AuditVerdict(lines=count, broken_at=min(wordless), reason="its words were taken away")
        return AuditVerdict(lines=count)

    async def _head_fits(self, lines: ChainEnd, last: Head | None) -> bool:
        """Whether the chain still holds the line that the file names. A damaged file may be written anew."""
        try:
            head = None if self._writer is None else self._writer.read()
        except ValueError:
            return True
        if head is None or head == last or await lines.hash_of(head.number) == head.sha256:
            return True
        self._log.error("the audit log does not fit its noted end", line=head.number)
        return False

    def _committed(self, session: Writing) -> None:
        """The lines exist from now on, and not before: only then is the end of the chain noted."""
        if self._writer is not None:
            self._writer.note(session.info[_END])

    def close(self) -> None:
        """Notes the end of the chain that is not noted yet; before the process ends."""
        if self._writer is not None:
            self._writer.settle()


def _misfit(line: AuditLine, count: int, before: str) -> str:
    """Why a line cannot follow the line number `count`; empty when it can."""
    if line.number != count + 1:
        return "a line is missing"
    if line.sha256 != _digest({name: getattr(line, name) for name in _HASHED}):
        return "the line was changed"
    if not fit(line.data, line.words):
        return "the words beside the line were changed"
    return "" if line.before == before else "the line was put in, or one before it was changed"


def _digest(line: Mapping[str, Any]) -> str:
    return link([line["at"].isoformat() if name == "at" else line[name] for name in _HASHED])


def _chained(entry: AuditEntry, words: Mapping[str, Any] | None) -> dict[str, Any]:
    data = _told(entry.data if entry.tenant == DEFAULT_TENANT else _of_tenant(entry))
    return {**data, WORDS: hashes(words)} if words else data


def _out(line: AuditLine) -> AuditLineOut:
    out = AuditLineOut.model_validate(line)
    return out.model_copy(update={"data": read(line.data, line.words)}) if line.data.get(WORDS) else out


def _pages(subjects: Collection[str]) -> Iterator[tuple[str, ...]]:
    """So many at a time as a statement takes."""
    waiting = iter(subjects)
    while some := tuple(islice(waiting, PAGE)):
        yield some


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text)[:200]


def _told(data: Mapping[str, Any]) -> dict[str, Any]:
    return {storable(name): _short(value) for name, value in without_secrets(data).items()}


def _of_tenant(entry: AuditEntry) -> dict[str, Any]:
    """Part of what is hashed: nobody moves a line to another tenant unseen."""
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
