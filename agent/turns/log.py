"""Writes down what an answer tells while it is told, so that it outlives the process; kept by the Brain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from agent.events import BrainEvent, Progress, TextPart, ToolCalled
from agent.sessions.service import OpenTurn, SessionService
from agent.turns.result import TurnResult
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

FLUSH_S = 0.25
"""How much of a streamed text may be lost with the process."""


class TurnLog:
    """The events of one turn on their way into the database. Pieces of text are joined on the way."""

    def __init__(self, sessions: SessionService, turn: OpenTurn) -> None:
        self._sessions = sessions
        self._turn = turn
        self._waiting: list[BrainEvent] = []
        self._outcome = TurnResult()
        self._writing = asyncio.Lock()

    async def note(self, event: BrainEvent) -> None:
        """Returns when the event is safe, for a call that will change something; for others at once.

        Raises SoundstageError when such an event cannot be made safe: then the call must not be made.
        """
        self._outcome.note(event)
        last = self._waiting[-1] if self._waiting else None
        if isinstance(event, Progress):
            # The events of the render hold it already.
            return
        if isinstance(event, TextPart) and isinstance(last, TextPart):
            self._waiting[-1] = TextPart(text=last.text + event.text)
        else:
            self._waiting.append(event)
        if isinstance(event, ToolCalled) and event.effect != "read":
            # Shielded: what is broken off half-way would be lost for the end of the turn, too.
            await asyncio.shield(self.flush())

    async def flush(self) -> None:
        async with self._writing:
            told, self._waiting = self._waiting, []
            try:
                await self._sessions.keep(self._turn, told, self._outcome.end())
            except SoundstageError:
                self._waiting = [*told, *self._waiting]
                raise

    async def end(self) -> None:
        async with self._writing:
            told, self._waiting = self._waiting, []
            await self._sessions.end_turn(self._turn, self._outcome.end(), told)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Meanwhile what was told is written every quarter of a second, and the turn counts as alive.

        Where many wait to write, only the latter: with each answer that takes longer there would be more to
        write, which makes all answers take longer still.
        """
        keeper = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        written = loop.time()
        while True:
            await asyncio.sleep(FLUSH_S)
            soon = self._waiting and not self._sessions.crowded
            if not soon and loop.time() - written < self._sessions.lease_s / 3:
                continue
            try:
                # Shielded: a write that is broken off costs the pool its connection.
                await asyncio.shield(self.flush())
            except SoundstageError as error:
                if error.code == "turn.given_up":
                    # It has its end; whatever would change something now hears that in `note`.
                    return
                # The database is busy: the answer goes on, and the next round tries again.
                get_logger("agent.turns.log").warning("turn not written", code=error.code)
            written = loop.time()
