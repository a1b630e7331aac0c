"""Writes, reads and checks the audit chain; the wrappers of tools, approvals and renders record here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit.chain import BEGINNING, link
from policy.audit.head import Head, HeadFile
from policy.audit.models import AuditLine
from policy.audit.recorded_end import Origin, RecordedEnd, Written
from policy.audit.repository import TENANT, AuditLines, ChainEnd
from policy.audit.schemas import AuditHead, AuditLineOut, AuditTrail, AuditVerdict
from policy.audit.verification import KEYED, ChainBrokenError, ChainCheck, judge
from policy.audit.words import WORDS, beside, fit, hashes, read
from policy.principal import DEFAULT_TENANT
from soundstage.database import Database, in_transaction, on_commit, utcnow
from soundstage.database.storable import storable
from soundstage.errors import NotFound
from soundstage.paging import Page, PageRequest
from soundstage.request_source import request_source
from soundstage.telemetry.masking import without_secrets
from soundstage.tracing import trace_id as current_trace_id

PAGE = 1000
TRAIL_LINES = 5000
MAX_TEXT = 2000
WORDS_FORGOTTEN = "words.forgotten"
LINES = "lines"
_END = "policy_audit_end"
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
    words: Mapping[str, str] = field(default_factory=dict)
    """What stands beside the line and can be forgotten; a reader finds it among `data`."""


class AuditLog:
    """The chain of one database, an HMAC of each line under a key that is not in the database. Its end is
    recorded in a file beside it. Without a `head` (tests) lines carry plain hashes, and no end is recorded.
    """

    def __init__(self, db: Database, head: HeadFile | None = None) -> None:
        self._db = db
        self._end = None if head is None else RecordedEnd(db, ChainEnd, head)

    async def start(self) -> None:
        """Move the recorded end on after a crash; called once the database is migrated."""
        if self._end is None:
            return

        async def note(kind: str, data: Mapping[str, Any]) -> None:
            await self.note(AuditEntry(kind, "soundstage", data=data))

        async def accept(kind: str, data: Mapping[str, Any]) -> None:
            await self.accept_end(AuditEntry(kind, "soundstage", data=data))

        await self._end.start(note, accept)

    async def record(self, session: AsyncSession, *entries: AuditEntry) -> None:
        """Appends in the caller's transaction, with the change that it tells of; secrets are masked."""
        if not in_transaction(session):
            raise RuntimeError("audit lines are written inside Database.transaction()")
        lines = ChainEnd(session)
        # Nobody else writes meanwhile, so the end of the chain is looked up once in a transaction.
        if _END not in session.info:
            session.info[_END] = await lines.last()
            if self._end is not None and await self._end.fits(lines, session.info[_END]):
                on_commit(session, lambda: self._committed(session))
        last: Head | None = session.info[_END]
        key = self._key()
        rows: list[dict[str, Any]] = []
        for entry in entries:
            words = beside(_storable(entry.words)) if entry.words else None
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
            last = Head(int(str(row["number"])), link(_content(row), key))
            rows.append({**row, "words": words, "sha256": last.sha256})
        await lines.add(rows)
        session.info[_END] = last

    async def note(self, entry: AuditEntry) -> None:
        """In a transaction of its own: what was refused is rolled back, and the line about it must stay."""
        async with self._db.transaction() as session:
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

    async def accept_end(self, entry: AuditEntry) -> None:
        """Go on from the chain as it is now, with a line that says so: after a backup was put back, or when
        an administrator has looked at what `verify` reported. Lines that were changed stay reported.
        """
        if self._end is not None:
            await self._end.forget()
        async with self._db.transaction() as session:
            if self._end is not None:
                session.info[_END] = await ChainEnd(session).last()
                on_commit(session, lambda: self._committed(session))
            await self.record(session, entry)

    async def go_on_restored(self, entry: AuditEntry, *, accept_unproven: bool = False) -> Origin:
        """Go on from a chain that was put back, if its lines are proven or from before keys and there is no
        key yet; return where they come from.

        Otherwise nothing is written, and no key is made: the right one may still be brought. With
        `accept_unproven` a person goes on all the same, and the line says over how many lines.
        """
        if self._end is None:
            await self.accept_end(entry)
            return Origin(Written.OURS, 0)
        origin = await self._end.origin(lambda check: self._walk(check, set()))
        if origin.unproven and not accept_unproven:
            return origin
        if origin.written is Written.UNKEYED:
            await self.accept_end(AuditEntry(KEYED, entry.actor, data=origin.facts))
        await self.accept_end(replace(entry, data={**entry.data, **origin.facts}))
        return origin

    async def head(self) -> AuditHead | None:
        """Return the end of the chain, to be pinned elsewhere; None while the log is empty."""
        async with self._db.session() as session:
            lines = await AuditLines(session).newest(1, None)
        return AuditHead.model_validate(lines[0], from_attributes=True) if lines else None

    async def read(self, after: int, limit: int, tenant: str | None = None) -> list[AuditLineOut]:
        """Oldest first; of one tenant, or all for the user of this machine."""
        async with self._db.session() as session:
            lines = await AuditLines(session).after(after, limit, tenant)
        return [_out(line) for line in lines]

    async def find_page(
        self, tenant: str | None, request: PageRequest, *, newest_first: bool = False
    ) -> Page[AuditLineOut]:
        """Lines of one tenant, or all for the user of this machine, from the place of a cursor on."""
        async with self._db.session() as session:
            page = await AuditLines(session).page(tenant, newest_first, request)
            return page.of([_out(line) for line in page.items])

    async def newest(self, limit: int, tenant: str | None = None) -> list[AuditLineOut]:
        """The last lines, oldest first; of one tenant, or all for the user of this machine."""
        async with self._db.session() as session:
            lines = await AuditLines(session).newest(limit, tenant)
        return [_out(line) for line in lines]

    async def trail(self, record_id: str, tenant: str | None = None) -> AuditTrail:
        """Returns all lines of the traces that a trace, session, render or approval id appears in."""
        async with self._db.session() as session:
            lines = AuditLines(session)
            found = {line.number: line for line in await lines.about(record_id, TRAIL_LINES, tenant)}
            traces = {line.trace_id for line in found.values() if line.trace_id is not None}
            if traces:
                found |= {line.number: line for line in await lines.of_traces(traces, TRAIL_LINES, tenant)}
        if not found:
            raise NotFound(
                "audit.no_story",
                f"The audit log knows nothing of {record_id!r}.",
                "Give the id of a trace, a session, a render or an approval.",
            )
        return AuditTrail(id=record_id, lines=[_out(found[number]) for number in sorted(found)])

    async def verify(self, pinned: Head | None = None) -> AuditVerdict:
        """Check each line, and the end against the head: the recorded one, and one `pinned` elsewhere.

        Words may be missing beside a line when a later line of the chain says that they were forgotten.
        """
        check = ChainCheck(self._key())
        wordless: set[int] = set()
        if self._end is None:
            verdict = await judge(check, self._walk(check, wordless))
        else:
            walk = partial(self._walk, check, wordless)
            verdict = await judge(check, self._end.verify(check, walk, pinned))
        if wordless and verdict.broken_at is None:
            return AuditVerdict(
                lines=check.count,
                broken_at=min(wordless),
                code="audit.words_missing",
                reason="its words were taken away",
            )
        return verdict

    async def _walk(self, check: ChainCheck, wordless: set[int]) -> None:
        """Check all lines after those that were checked already. Raises `ChainBrokenError`."""
        async with self._db.session() as session:
            while page := await AuditLines(session).after(check.count, PAGE):
                for line in page:
                    content = _content({name: getattr(line, name) for name in _HASHED})
                    check.add(line.number, line.kind, line.before, line.sha256, content)
                    if not fit(line.data, line.words):
                        raise ChainBrokenError(
                            line.number, "audit.words_changed", "the words beside the line were changed"
                        )
                    if line.words is None and line.data.get(WORDS):
                        wordless.add(line.number)
                    if line.kind == WORDS_FORGOTTEN:
                        wordless.difference_update(line.data[LINES])

    def _key(self) -> bytes | None:
        return None if self._end is None else self._end.key

    def _committed(self, session: AsyncSession) -> None:
        """The lines exist from now on, and not before: only then is the end of the chain recorded."""
        if self._end is not None:
            self._end.record_commit(session.info[_END])

    def close(self) -> None:
        """Record the end of the chain; before the process ends."""
        if self._end is not None:
            self._end.close()


def _content(line: Mapping[str, Any]) -> list[Any]:
    """Returns what the hash of a line covers."""
    return [line["at"].isoformat() if name == "at" else line[name] for name in _HASHED]


def _chained(entry: AuditEntry, words: Mapping[str, Any] | None) -> dict[str, Any]:
    data = _storable(entry.data if entry.tenant == DEFAULT_TENANT else _of_tenant(entry))
    if (source := request_source()) is not None:
        data.setdefault(SOURCE, source)
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


def _storable(data: Mapping[str, Any]) -> dict[str, Any]:
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
