"""Notes what machines do and when, and tells it as one view with the critical path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.enrolment.repository import Enrolments
from provisioning_api.machines.models import Machine
from provisioning_api.machines.service import get_machine
from provisioning_api.runs.journal import stream_of
from provisioning_api.runs.models import Run
from provisioning_api.runs.repository import Runs
from provisioning_api.timeline.models import SpanRow
from provisioning_api.timeline.repository import Spans
from soundstage.database import Database, on_commit, utcnow
from soundstage.events import EventStore
from soundstage.telemetry import metrics

BOOT = "boot script"
# Kinds of lines of a run that say how long a task took on a machine.
_TASK_ENDS = frozenset({"run.ok", "run.failed", "run.unreachable"})
_MAX_EVENTS = 20_000


class Span(BaseModel):
    """`seconds` is the length; `critical` says whether a shorter one would have made the whole shorter."""

    name: str
    source: str
    started_at: datetime
    ended_at: datetime
    seconds: float
    critical: bool = False


def span_of(name: str, source: str, started_at: datetime, ended_at: datetime) -> Span:
    """A span; what would end before it begins is a point."""
    ended_at = max(started_at, ended_at)
    seconds = round((ended_at - started_at).total_seconds(), 3)
    return Span(name=name, source=source, started_at=started_at, ended_at=ended_at, seconds=seconds)


def with_critical_path(spans: Sequence[Span]) -> list[Span]:
    """The spans by their beginning, those of the critical path marked.

    Backwards from the end: what ended last was waited for; before it, what ended last before that one began.
    What runs beside a longer span is not on the path.
    """
    ordered = sorted(spans, key=lambda span: (span.started_at, span.ended_at))
    critical: set[int] = set()
    last = max(range(len(ordered)), key=lambda at: ordered[at].ended_at, default=None)
    while last is not None:
        critical.add(last)
        begin = ordered[last].started_at
        before = [at for at in range(len(ordered)) if at not in critical and ordered[at].ended_at <= begin]
        last = max(before, key=lambda at: (ordered[at].ended_at, ordered[at].seconds), default=None)
    return [span.model_copy(update={"critical": at in critical}) for at, span in enumerate(ordered)]


class Timeline(BaseModel):
    """From the boot before the last acceptance to the last thing known; `critical_seconds` of it were waited
    for.
    """

    name: str
    spans: list[Span]
    seconds: float
    critical_seconds: float


class TimelineService:
    def __init__(self, db: Database, events: EventStore) -> None:
        self._db = db
        self._events = events

    async def record_boot(self, machine_id: str, kind: str) -> None:
        """Records that firmware loaded its boot script."""
        async with self._db.transaction() as session:
            await self.note(session, machine_id, f"{BOOT}: {kind}", "ipxe", utcnow(), utcnow())

    async def note(
        self, session: AsyncSession, machine_id: str, name: str, source: str, start: datetime, end: datetime
    ) -> None:
        row = SpanRow(machine_id=machine_id, name=name[:100], source=source, started_at=start, ended_at=end)
        await Spans(session).add(row)
        await Spans(session).prune(machine_id)
        if source != "ipxe":
            seconds = (end - start).total_seconds()
            on_commit(session, lambda: metrics.BOOT_STAGE.observe(seconds, name))

    async def record_spans(
        self, session: AsyncSession, machine: Machine, spans: Iterable[tuple[str, float, float]]
    ) -> None:
        """`spans`: name, seconds since it began, and how long it took. The machine's own clock counts for
        nothing: it may stand at 1970.
        """
        now = utcnow()
        for name, ago_s, seconds in spans:
            start = now - timedelta(seconds=ago_s)
            end = min(start + timedelta(seconds=seconds), now)
            await self.note(session, machine.id, name, "agent", start, end)

    async def timeline(self, name: str) -> Timeline:
        """Spans that were noted, what it waited for, and each task of its last run."""
        async with self._db.session() as session:
            machine = await get_machine(session, name)
            rows = list(await Spans(session).of_machine(machine.id, None))
            run = await Runs(session).last_of(machine.id)
            used = [one.used_at for one in await Enrolments(session).of_machine(machine.id) if one.used_at]
        begin = _begin(rows, machine.accepted_at)
        spans = [
            span_of(row.name, row.source, row.started_at, row.ended_at)
            for row in rows
            if begin is None or row.started_at >= begin
        ]
        spans += _waits(machine, rows, begin, max(used, default=None), run)
        if run is not None and run.started_at is not None and (begin is None or run.started_at >= begin):
            spans.append(span_of("run waits for its turn", "run", run.created_at, run.started_at))
            spans += await self._tasks(run.id, machine.name)
        found = with_critical_path(spans)
        whole = (max(s.ended_at for s in found) - found[0].started_at).total_seconds() if found else 0.0
        critical = sum(span.seconds for span in found if span.critical)
        return Timeline(
            name=machine.name, spans=found, seconds=round(whole, 3), critical_seconds=round(critical, 3)
        )

    async def _tasks(self, run_id: str, name: str) -> list[Span]:
        found: list[Span] = []
        for event in await self._events.read(stream_of(run_id), limit=_MAX_EVENTS):
            seconds = event.data.get("seconds")
            if event.kind in _TASK_ENDS and event.data.get("host") == name and seconds is not None:
                ended_at = event.data.get("ended_at")
                end = datetime.fromisoformat(ended_at) if ended_at else event.at
                start = end - timedelta(seconds=float(seconds))
                found.append(span_of(str(event.data.get("task") or "task"), "ansible", start, end))
        return found


def _waits(
    machine: Machine,
    rows: Sequence[SpanRow],
    begin: datetime | None,
    enrolled_at: datetime | None,
    run: Run | None,
) -> list[Span]:
    """Returns spans that are not reported: the time until the acceptance, and the first boot, until it called
    home.
    """
    found: list[Span] = []
    accepted_at = machine.accepted_at
    if accepted_at is not None and begin is not None and begin <= accepted_at:
        spoke = [row.ended_at for row in rows if begin <= row.ended_at <= accepted_at]
        found.append(span_of("waits for a yes", "operator", max(spoke, default=begin), accepted_at))
    if enrolled_at is None or run is None or run.created_at < enrolled_at:
        return found
    if begin is None or enrolled_at >= begin:
        found.append(span_of("first boot", "machine", enrolled_at, run.created_at))
    return found


def _begin(rows: list[SpanRow], accepted_at: datetime | None) -> datetime | None:
    """Returns where the last journey began: the last boot before the acceptance. No boot is recorded of one
    that was unknown then: all that is known of it is its first journey.
    """
    boots = [row.started_at for row in rows if row.name.startswith(BOOT)]
    return max((at for at in boots if accepted_at is None or at <= accepted_at), default=None)
