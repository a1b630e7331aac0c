"""Runs answers apart from the connections that read them; used by the chat routes and live sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from agent.answering.answers import ReaderAnswers
from agent.brain import Brain
from agent.events import BRAIN_EVENT, BrainEvent, Done, Failure
from agent.sessions.schemas import CANCELLED
from agent.sessions.service import Conversation, stream_of
from policy import Principal
from soundstage.errors import Conflict, SoundstageError, Unavailable, internal_error
from soundstage.events import EventStore
from soundstage.tasks import cancel_all, finish
from soundstage.telemetry import get_logger

MAX_RUNNING = 1000
"""Answers at the same time in one process."""


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """One event of a turn. Those read from the database have the `id` after which a reader resumes."""

    event: BrainEvent
    id: int | None = None


TurnEvents = AsyncGenerator[TurnEvent, None]


@dataclass(slots=True, eq=False)
class _RunningTurn:
    """An answer that is running: its events so far, and the readers that wait for more."""

    events: list[BrainEvent] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    turn: tuple[str, int] | None = None
    ended: bool = False
    error: SoundstageError | None = None
    task: asyncio.Task[None] | None = None

    def add(self, event: BrainEvent) -> None:
        self.events.append(event)
        self._wake_readers()

    def end(self) -> None:
        self.ended = True
        self._wake_readers()

    def _wake_readers(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def read(self) -> TurnEvents:
        """Yields all events from the first to the last; any number of readers."""
        place = 0
        while True:
            changed = self.changed
            while place < len(self.events):
                yield TurnEvent(self.events[place])
                place += 1
            if self.ended:
                break
            if changed is self.changed:
                await changed.wait()
        if self.error is not None:
            raise self.error


class TurnRunner:
    """The running answers of one process. An answer goes on without its reader; `cancel` ends it.

    Every transport reads one generator of events: `ask` returns it for an answer that runs here, `follow`
    for any turn in the database.
    """

    def __init__(self, brain: Brain, events: EventStore) -> None:
        self._brain = brain
        self._events = events
        self._running: set[_RunningTurn] = set()
        self._by_turn: dict[tuple[str, int], _RunningTurn] = {}
        self._by_request: dict[tuple[str, str, str], _RunningTurn] = {}

    @property
    def reader(self) -> ReaderAnswers | None:
        """Returns the answers by the reader, where there is one."""
        return self._brain.reader

    async def ask(
        self,
        conversation: Conversation,
        utterance: str,
        *,
        follow: bool = False,
        request_id: str | None = None,
    ) -> TurnEvents:
        """Starts an answer and returns its events. A repeated request gets the answer that it began."""
        if request_id is not None:
            existing = await self._brain.sessions.turn_of_request(conversation.principal, request_id)
            if existing is not None:
                return self.follow(conversation.principal, *existing)
            # Two at the same moment: the turn is not in the database yet, but its answer runs here.
            if (begun := self._by_request.get(_request_key(conversation, request_id))) is not None:
                return begun.read()
        if len(self._running) >= MAX_RUNNING:
            raise Unavailable(
                "agent.too_busy", "Too many answers are being given at once.", "Try again in a moment.",
                headers={"Retry-After": "2"},
            )  # fmt: skip
        running = _RunningTurn()
        self._running.add(running)
        if request_id is not None:
            self._by_request[_request_key(conversation, request_id)] = running
        running.task = asyncio.create_task(self._run(running, conversation, utterance, follow, request_id))
        return running.read()

    async def follow(self, principal: Principal, session_id: str, number: int, after: int = 0) -> TurnEvents:
        """Yields the events of a turn after the id `after`, from the database, until its end.

        Works for an answer of any process, and when that process is gone.
        """
        await self._brain.sessions.turn(principal, session_id, number)
        watch = asyncio.create_task(self._reap_expired(principal, session_id, number))
        try:
            async with aclosing(self._events.follow(stream_of(session_id, number), after)) as events:
                async for event in events:
                    yield TurnEvent(BRAIN_EVENT.validate_python(event.data), event.id)
                    if event.kind == "done":
                        return
        finally:
            await cancel_all([watch])

    async def no_events_after(self, session_id: str, number: int, event_id: int) -> bool:
        """Returns whether no event after this one is stored; in a turn that has ended it is the last."""
        return not await self._events.read(stream_of(session_id, number), event_id, 1)

    async def cancel(self, principal: Principal, session_id: str, number: int) -> None:
        """Ends an answer; what its tools have done stays. Does nothing for one that has ended."""
        turn = await self._brain.sessions.turn(principal, session_id, number)
        if turn.finished_at is not None:
            return
        running = self._by_turn.get((session_id, number))
        if running is None or running.task is None:
            raise Conflict(
                "turn.elsewhere",
                "Another process is giving this answer.",
                "End it where it was asked for, for instance with Ctrl-C at that prompt.",
            )
        await cancel_all([running.task])

    async def close(self) -> None:
        """Cancels every answer at the end of the process, and waits until each is logged."""
        await cancel_all([running.task for running in self._running if running.task is not None])

    async def _run(
        self,
        running: _RunningTurn,
        conversation: Conversation,
        utterance: str,
        follow: bool,
        request_id: str | None,
    ) -> None:
        async def emit(event: BrainEvent) -> None:
            if event.type == "turn":
                running.turn = (event.session_id, event.turn)
                self._by_turn[running.turn] = running
            running.add(event)

        try:
            await self._brain.answer(conversation, utterance, emit, follow=follow, request_id=request_id)
        except SoundstageError as error:
            running.error = error
        except Exception:
            # Readers must be able to tell a failed answer from an empty one.
            get_logger(__name__).exception("an answer broke")
            running.error = internal_error()
        except asyncio.CancelledError:
            if running.turn is not None:
                running.add(Failure(code=CANCELLED, message="This answer was cancelled."))
                running.add(Done(session_id=running.turn[0], turn=running.turn[1]))
            raise
        finally:
            running.end()
            self._running.discard(running)
            if request_id is not None:
                self._by_request.pop(_request_key(conversation, request_id), None)
            if running.turn is not None:
                self._by_turn.pop(running.turn, None)

    async def _reap_expired(self, principal: Principal, session_id: str, number: int) -> None:
        """Reads the turn regularly: `sessions.turn` closes a turn whose lease expired (its process died)."""
        while True:
            await asyncio.sleep(self._brain.sessions.lease_s / 2)
            turn = await finish(self._brain.sessions.turn(principal, session_id, number))
            if turn.finished_at is not None:
                return


def _request_key(conversation: Conversation, request_id: str) -> tuple[str, str, str]:
    """Returns the key of a request: another principal's same id is another request."""
    return conversation.principal.tenant, conversation.principal.id, request_id
