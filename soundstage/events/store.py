"""Appends, reads and follows events; every service that emits events shares one `EventStore`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    true,
)
from sqlalchemy import cast as cast_as
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database, in_transaction, on_commit, utcnow
from soundstage.database.storable import storable
from soundstage.events.filter import EventFilter
from soundstage.events.models import EventRow, EventStreamRow
from soundstage.events.schemas import Event
from soundstage.events.wakeups import FollowerWakeups, Notifier
from soundstage.paging import contains_words
from soundstage.tasks import create_task_in
from soundstage.telemetry import metrics
from soundstage.tracing import trace_id as current_trace_id

# The counter over all streams. No stream can have this name.
ALL_STREAMS = "*"
PAGE = 500
SEARCH_WINDOW = 50_000
ALL_EVENTS = EventFilter()
_STREAMS = "soundstage_event_streams"
MAX_ID = 2**63 - 1
_Found = TypeVar("_Found")

_EVENTS = cast(Table, EventRow.__table__)
_COUNTERS = cast(Table, EventStreamRow.__table__)

# Built once: building a statement takes longer than running it.
_ADD = insert(_EVENTS)
# As text: SQLAlchemy builds an insertion of several rows anew each time. The counter of all streams always
# first: writers that lock in one order cannot deadlock.
_ALLOCATE_IDS = text(
    "INSERT INTO event_streams (name, last) VALUES (:all, :count), (:stream, :count) "
    "ON CONFLICT (name) DO UPDATE SET last = event_streams.last + excluded.last RETURNING name, last"
).bindparams(bindparam("count", type_=_COUNTERS.c.last.type))
_LAST = select(_COUNTERS.c.last).where(_COUNTERS.c.name == bindparam("stream"))


class EventStore:
    """The event log of one database.

    Ids come from counter rows whose lock is held until the commit, so that an event with a smaller id is
    never committed after one with a greater id; a reader that has seen id N has therefore seen everything up
    to N. One process shares one `EventStore`: its own commits wake its followers at once, those of others as
    soon as the database notifies of them (PostgreSQL) or the poll finds them (SQLite).
    """

    def __init__(self, db: Database, *, poll_s: float = 0.25, heartbeat_s: float = 15.0) -> None:
        self._db = db
        self.heartbeat_s = heartbeat_s
        self._notifier = Notifier(db)
        self._followers = FollowerWakeups(self.last_id, poll_s, self._notifier)
        self._reading: set[asyncio.Task[Any]] = set()

    async def append(
        self,
        session: AsyncSession,
        stream: str,
        kind: str,
        data: Mapping[str, Any] | None = None,
        trace_id: str | None = None,
    ) -> Event:
        """Adds an event to the caller's transaction; it exists for others when that commits, or never.

        Without `trace_id` records the current trace. Raises RuntimeError outside `Database.transaction()`.
        """
        return (await self.append_all(session, stream, [(kind, data or {})], trace_id))[0]

    async def append_all(
        self,
        session: AsyncSession,
        stream: str,
        entries: Sequence[tuple[str, Mapping[str, Any]]],
        trace_id: str | None = None,
    ) -> list[Event]:
        """As `append`, for several events (kind, data) of one stream: two statements, however many."""
        if not in_transaction(session):
            raise RuntimeError(
                "events are appended inside Database.transaction(), with the change that they describe"
            )
        if not stream or stream == ALL_STREAMS:
            raise ValueError(f"not the name of a stream: {stream!r}")
        if not entries:
            return []
        ids, sequence_numbers = await _allocate(session, stream, len(entries))
        at, trace = utcnow(), trace_id or current_trace_id()
        rows = [
            {"id": event_id, "stream": stream, "seq": seq, "kind": kind, "data": storable(dict(data)),
             "at": at, "trace_id": trace}
            for event_id, seq, (kind, data) in zip(ids, sequence_numbers, entries, strict=True)
        ]  # fmt: skip
        await session.execute(_ADD, rows)
        on_commit(session, lambda: _count(kind for kind, _ in entries))
        if self._wake_at_commit(session, stream):
            await self._notifier.notify(session, stream)
        return [Event.model_validate(row) for row in rows]

    async def read(
        self,
        stream: str | None = None,
        after: int = 0,
        limit: int = PAGE,
        event_filter: EventFilter = ALL_EVENTS,
    ) -> list[Event]:
        """At most `limit` events with an id after `after`, oldest first; of one stream, or of all (None)."""
        # A cursor from outside may exceed BIGINT.
        query = select(EventRow).where(EventRow.id > min(after, MAX_ID)).order_by(EventRow.id).limit(limit)
        if stream is not None:
            query = query.where(EventRow.stream == stream)
        query = query.where(*event_filter.conditions())
        async with self._db.session() as session:
            return [Event.model_validate(row) for row in await session.scalars(query)]

    async def search(
        self, event_filter: EventFilter, terms: str | None, before_id: int, min_id: int
    ) -> AsyncGenerator[Event, None]:
        """Yields events that contain all terms, newest first; `min_id` <= id < `before_id`."""
        while True:
            query = select(EventRow).where(EventRow.id < min(before_id, MAX_ID), EventRow.id >= min_id)
            query = query.where(
                *event_filter.conditions(),
                *contains_words(terms, EventRow.kind, EventRow.stream, EventRow.data),
            )
            async with self._db.session() as session:
                rows = await session.scalars(query.order_by(EventRow.id.desc()).limit(PAGE))
                page = [Event.model_validate(row) for row in rows]
            for found in page:
                before_id = found.id
                yield found
            if len(page) < PAGE:
                return

    async def last_id(self) -> int:
        """Returns the id of the newest event; 0 when there is none. Follow after it for new events only."""
        async with self._db.session() as session:
            # From the counter, not the greatest id: pruning must not lower it.
            return await session.scalar(_LAST, {"stream": ALL_STREAMS}) or 0

    async def last_seq(self, stream: str) -> int:
        """Returns the `seq` of the newest event of a stream; 0 when there has never been one."""
        return await self._shielded(self._last_seq(stream))

    @property
    def followers(self) -> int:
        """Returns how many follow events in this process."""
        return self._followers.count

    def watch(self, stream: str) -> AbstractContextManager[asyncio.Event]:
        """Yields an event that is set when `stream` may have news; at once for commits of this process."""
        return self._followers.watch(stream)

    async def _last_seq(self, stream: str) -> int:
        async with self._db.session() as session:
            return await session.scalar(_LAST, {"stream": stream}) or 0

    async def follow(
        self, stream: str | None = None, after: int = 0, event_filter: EventFilter = ALL_EVENTS
    ) -> AsyncGenerator[Event, None]:
        """Yields events after the id `after`: existing ones, then new ones; endless, each exactly once."""
        with self._followers.watch(stream) as woken:
            while True:
                # Cleared before reading: a commit that comes while we read wakes the next round.
                woken.clear()
                # High-water mark first: events up to it that the filter rejects need not be scanned again.
                seen = after if event_filter == ALL_EVENTS else await self._shielded(self.last_id())
                page = await self._shielded(self.read(stream, after, PAGE, event_filter))
                for found in page:
                    after = found.id
                    yield found
                if len(page) < PAGE:
                    # Skip what the filter has rejected.
                    after = max(after, seen)
                    await woken.wait()

    async def _shielded(self, query: Coroutine[Any, Any, _Found]) -> _Found:
        """Finishes the query even when the follower is cancelled meanwhile: clients disconnect at any time.

        Cancelling a query makes the pool discard its connection.
        """
        return await asyncio.shield(create_task_in(self._reading, query))

    async def close(self) -> None:
        """Waits for reads that still run; call it before the database is closed, once there are no
        followers.
        """
        await self._followers.close()
        loop = asyncio.get_running_loop()
        if reading := [one for one in self._reading if one.get_loop() is loop]:
            await asyncio.wait(reading)

    async def rewrite(
        self,
        session: AsyncSession,
        streams: Collection[str],
        change: Callable[[Event], Mapping[str, Any]],
        prefilter: Collection[str] = (),
    ) -> int:
        """Redacts events of these streams: replaces their data by what `change` returns. Returns how many
        changed. With `prefilter`, only events that contain one of these terms are read.
        """
        if not in_transaction(session):
            raise RuntimeError("events are rewritten inside Database.transaction()")
        written = cast_as(EventRow.data, Text)
        held = or_(*(written.icontains(word, autoescape=True) for word in prefilter)) if prefilter else true()
        names, changed = list(streams), 0
        for start in range(0, len(names), PAGE):
            query = select(EventRow).where(EventRow.stream.in_(names[start : start + PAGE]), held)
            for row in await session.scalars(query.order_by(EventRow.id)):
                data = dict(change(Event.model_validate(row)))
                if data != row.data:
                    row.data, changed = data, changed + 1
            await session.flush()
        return changed

    async def prune(self, session: AsyncSession, before: datetime, keep: Collection[str] = ()) -> int:
        """Removes events older than `before`, except those of the streams `keep`; returns how many.

        Ids are never used again.
        """
        if not in_transaction(session):
            raise RuntimeError("events are pruned inside Database.transaction()")
        old = delete(EventRow).where(*_older(before, keep)).returning(EventRow.id)
        return len((await session.execute(old)).all())

    async def count_prunable(self, before: datetime, keep: Collection[str] = ()) -> int:
        """Returns how many events `prune` would remove."""
        async with self._db.session() as session:
            found = await session.scalar(select(func.count(EventRow.id)).where(*_older(before, keep)))
        return found or 0

    def _wake_at_commit(self, session: AsyncSession, stream: str) -> bool:
        """Registers the stream to be woken at the commit; False when it is registered already."""
        noted: dict[EventStore, set[str]] = session.info.setdefault(_STREAMS, {})
        if (streams := noted.get(self)) is None:
            streams = noted[self] = set()
            on_commit(session, lambda: self._followers.wake(streams))
        if stream in streams:
            return False
        streams.add(stream)
        return True


def _older(before: datetime, keep: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return (EventRow.at < before, EventRow.stream.not_in(keep))


async def _allocate(session: AsyncSession, stream: str, count: int) -> tuple[range, range]:
    """Returns the next `count` global ids, and the next sequence numbers of this stream. Both counter rows
    stay locked until the end of the transaction.
    """
    counted = {"all": ALL_STREAMS, "stream": stream, "count": count}
    last = {str(row[0]): int(row[1]) for row in await session.execute(_ALLOCATE_IDS, counted)}
    return _up_to(last[ALL_STREAMS], count), _up_to(last[stream], count)


def _up_to(last: int, count: int) -> range:
    return range(last - count + 1, last + 1)


def _count(kinds: Iterable[str]) -> None:
    for kind in kinds:
        metrics.EVENTS.inc(kind)
