"""Stores the events of an answer while it runs, so that it outlives the process; used by the Brain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.events import BrainEvent, Emit, Progress, TextPart, ToolCalled
from agent.sessions.service import OpenTurn, SessionService
from agent.turns.result import TurnResult
from soundstage.errors import SoundstageError
from soundstage.tasks import cancel_all, finish
from soundstage.telemetry import get_logger

FLUSH_S = 0.25
"""How much of a streamed text may be lost with the process."""


class LogWriteFailed(Exception):
    """An event could not be stored before the call that it announces. No tool error: the answer ends."""

    def __init__(self, error: SoundstageError) -> None:
        super().__init__(error.message)
        self.error = error


class TurnLog:
    """Writes the events of one turn to the database, and passes them on. Text parts are joined first."""

    def __init__(self, sessions: SessionService, turn: OpenTurn, emit: Emit) -> None:
        self._sessions = sessions
        self._turn = turn
        self._emit = emit
        self._unwritten: list[BrainEvent] = []
        self._write_lock = asyncio.Lock()
        self.result = TurnResult()

    async def emit(self, event: BrainEvent) -> None:
        """Adds an event and passes it on. Raises LogWriteFailed as `add` raises SoundstageError."""
        try:
            await self.add(event)
        except SoundstageError as error:
            raise LogWriteFailed(error) from error
        await self._emit(event)

    async def add(self, event: BrainEvent) -> None:
        """Returns when the event is stored, for a call that will change something; for others at once.

        Raises SoundstageError when such an event cannot be stored: then the call must not run.
        """
        self.result.add(event)
        last = self._unwritten[-1] if self._unwritten else None
        if isinstance(event, Progress):
            # The events of the render hold it already.
            return
        if isinstance(event, TextPart) and isinstance(last, TextPart):
            self._unwritten[-1] = TextPart(text=last.text + event.text)
        else:
            self._unwritten.append(event)
        if isinstance(event, ToolCalled) and event.effect != "read":
            # Shielded: a write that is cancelled half-way would lose the events for the end of the turn, too.
            await finish(self.flush())

    async def flush(self) -> None:
        """Writes what is not written yet, and renews the lease of the turn."""
        async with self._write_lock:
            events, self._unwritten = self._unwritten, []
            try:
                await self._sessions.append_events(self._turn, events, self.result.end())
            except SoundstageError:
                self._unwritten = [*events, *self._unwritten]
                raise

    async def end(self) -> None:
        """Writes the rest and the result of the turn."""
        async with self._write_lock:
            events, self._unwritten = self._unwritten, []
            await self._sessions.end_turn(self._turn, self.result.end(), events)

    @asynccontextmanager
    async def flush_regularly(self) -> AsyncIterator[None]:
        """Flushes every quarter of a second inside the block, and renews the lease of the turn.

        Where many wait to write, it only renews the lease: with each answer that takes longer there would be
        more to write, which makes all answers take longer still.
        """
        flusher = asyncio.create_task(self._flush_loop())
        try:
            yield
        finally:
            await cancel_all([flusher])

    async def _flush_loop(self) -> None:
        loop = asyncio.get_running_loop()
        written = loop.time()
        while True:
            await asyncio.sleep(FLUSH_S)
            soon = self._unwritten and not self._sessions.database.is_write_queue_congested
            if not soon and loop.time() - written < self._sessions.lease_s / 3:
                continue
            try:
                # Shielded: a write that is cancelled costs the pool its connection.
                await finish(self.flush())
            except SoundstageError as error:
                if error.code == "turn.given_up":
                    # The turn has its end; a call that would change something gets this error in `add`.
                    return
                # The database is busy: the answer goes on, and the next round tries again.
                get_logger(__name__).warning("turn not written", code=error.code)
            written = loop.time()
