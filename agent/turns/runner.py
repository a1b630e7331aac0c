"""Answers that outlive the connection they were asked for on; started and followed by the chat routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from agent.brain import Brain
from agent.events import BRAIN_EVENT, BrainEvent, Done, Failure
from agent.sessions.service import Conversation, stream_of
from policy import Principal
from soundstage.errors import Conflict, SoundstageError, Unavailable, unexpected_error
from soundstage.events import Event, EventStore
from soundstage.telemetry import get_logger

MOST_ANSWERS = 1000
"""Answers at the same time in one process."""


@dataclass(slots=True, eq=False)
class _Answer:
    """One answer being given: all its events so far, and who waits for more."""

    events: list[BrainEvent] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False
    error: SoundstageError | None = None
    task: asyncio.Task[None] | None = None

    def add(self, event: BrainEvent) -> None:
        self.events.append(event)
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        woken, self.more = self.more, asyncio.Event()
        woken.set()

    async def told(self) -> AsyncGenerator[BrainEvent, None]:
        """From the first event to the last; any number of readers."""
        place = 0
        while True:
            more = self.more
            while place < len(self.events):
                yield self.events[place]
                place += 1
            if self.ended:
                break
            if more is self.more:
                await more.wait()
        if self.error is not None:
            raise self.error


class TurnRunner:
    """The answers of one process. A reader that goes away leaves its answer going on; `cancel` ends it."""

    def __init__(self, brain: Brain, events: EventStore) -> None:
        self._brain = brain
        self._events = events
        self._going: set[_Answer] = set()
        self._turns: dict[tuple[str, int], _Answer] = {}
        self._requests: dict[tuple[str, str, str], _Answer] = {}

    async def ask(
        self,
        conversation: Conversation,
        utterance: str,
        *,
        follow: bool = False,
        request_id: str | None = None,
    ) -> AsyncGenerator[BrainEvent, None]:
        """The events of an answer. A request that comes again gets the answer that it began before."""
        if request_id is not None:
            begun = await self._brain.sessions.turn_of_request(conversation.principal, request_id)
            if begun is not None:
                return self._again(conversation.principal, *begun)
            # The same moment twice: the turn is not in the database yet, but its answer has begun here.
            going = self._requests.get(_asked(conversation, request_id))
            if going is not None:
                return going.told()
        if len(self._going) >= MOST_ANSWERS:
            raise Unavailable(
                "agent.too_busy", "Too many answers are being given at once.", "Try again in a moment.",
                headers={"Retry-After": "2"},
            )  # fmt: skip
        answer = _Answer()
        self._going.add(answer)
        if request_id is not None:
            self._requests[_asked(conversation, request_id)] = answer
        answer.task = asyncio.create_task(self._give(answer, conversation, utterance, follow, request_id))
        return answer.told()

    async def follow(
        self, principal: Principal, session_id: str, number: int, after: int = 0
    ) -> AsyncGenerator[Event, None]:
        """Returns what a turn has told after the event `after`, then what it tells, until its end.

        It comes from the database: whichever process answers, and also when that one is gone.
        """
        await self._brain.sessions.turn(principal, session_id, number)
        stream = stream_of(session_id, number)
        watch = asyncio.create_task(self._watch(principal, session_id, number))
        try:
            async with aclosing(self._events.follow(stream, after)) as events:
                async for event in events:
                    yield event
                    if event.kind == "done":
                        return
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch

    async def is_last(self, session_id: str, number: int, event_id: int) -> bool:
        """Returns whether a reader that has seen this event has seen all of a turn that has ended."""
        return not await self._events.read(stream_of(session_id, number), event_id, 1)

    async def cancel(self, principal: Principal, session_id: str, number: int) -> None:
        """Ends an answer; what it has done stays. One that has ended already is left as it is."""
        turn = await self._brain.sessions.turn(principal, session_id, number)
        if turn.finished_at is not None:
            return
        answer = self._turns.get((session_id, number))
        if answer is None or answer.task is None:
            raise Conflict(
                "turn.elsewhere",
                "Another process is giving this answer.",
                "End it where it was asked for, for instance with Ctrl-C at that prompt.",
            )
        answer.task.cancel()
        await asyncio.wait([answer.task])

    async def close(self) -> None:
        """At the end of the process: every answer is ended in an orderly way."""
        tasks = [answer.task for answer in self._going if answer.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _give(
        self,
        answer: _Answer,
        conversation: Conversation,
        utterance: str,
        follow: bool,
        request_id: str | None,
    ) -> None:
        turn: tuple[str, int] | None = None
        told = self._brain.respond(conversation, utterance, follow=follow, request_id=request_id)
        try:
            async with aclosing(told) as events:
                async for event in events:
                    if event.type == "turn":
                        turn = (event.session_id, event.turn)
                        self._turns[turn] = answer
                    answer.add(event)
        except SoundstageError as error:
            answer.error = error
        except Exception:
            # Whoever reads must not take the end of a broken answer for an empty one.
            get_logger(__name__).exception("an answer broke")
            answer.error = unexpected_error()
        except asyncio.CancelledError:
            if turn is not None:
                answer.add(Failure(code="agent.cancelled", message="This answer was cancelled."))
                answer.add(Done(session_id=turn[0], turn=turn[1]))
            raise
        finally:
            answer.end()
            self._going.discard(answer)
            if request_id is not None:
                self._requests.pop(_asked(conversation, request_id), None)
            if turn is not None:
                self._turns.pop(turn, None)

    async def _again(
        self, principal: Principal, session_id: str, number: int
    ) -> AsyncGenerator[BrainEvent, None]:
        async with aclosing(self.follow(principal, session_id, number)) as events:
            async for event in events:
                yield brain_event(event)

    async def _watch(self, principal: Principal, session_id: str, number: int) -> None:
        """Asking for a turn ends it when its process is gone, which everybody who follows it then hears."""
        while True:
            await asyncio.sleep(self._brain.sessions.lease_s / 2)
            turn = await asyncio.shield(self._brain.sessions.turn(principal, session_id, number))
            if turn.finished_at is not None:
                return


def _asked(conversation: Conversation, request_id: str) -> tuple[str, str, str]:
    """The same request of the same person: the same number of somebody else means another one."""
    return conversation.principal.tenant, conversation.principal.id, request_id


def brain_event(event: Event) -> BrainEvent:
    """The event as the Brain told it."""
    return BRAIN_EVENT.validate_python(event.data)
