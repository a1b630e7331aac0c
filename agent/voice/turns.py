"""Runs the turns of voice sessions: answers what was understood, and notes what was heard of an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

from agent.answering.state import ConversationState
from agent.events import Failure, TurnBegan
from agent.sessions.service import SessionService
from agent.transcription.service import TranscriptionService
from agent.turns.result import TurnResult
from agent.turns.runner import TurnRunner
from agent.understanding.dialogue import YES_OR_NO, Effect
from agent.understanding.slots import FREE_TEXTS
from agent.voice.render_announcements import RenderAnnouncements
from agent.voice.schemas import Ask, Expected, Judge, Played
from agent.voice.session import Session
from soundstage.database import utcnow
from soundstage.errors import SoundstageError
from soundstage.telemetry import trace

PAST_TURNS = 16


@dataclass
class SessionTurns:
    """The turns of all sessions. `authorize` raises for a person whose key has ended."""

    sessions: SessionService
    runner: TurnRunner
    authorize: Callable[[Session], Awaitable[None]]
    transcription: TranscriptionService
    announcements: RenderAnnouncements

    async def answer(self, session: Session, request: Ask) -> None:
        """Runs a turn and sends its events to both sides; follows a video that it began."""
        result = TurnResult()
        turn: tuple[str, int] | None = None
        try:
            with trace(inherit=False):
                await self.authorize(session)
                conversation = await self.sessions.open(session.principal, session.id)
                events = await self.runner.ask(conversation, request.text)
                async with aclosing(events):
                    async for item in events:
                        event = item.event
                        if isinstance(event, TurnBegan):
                            turn = event.session_id, event.turn
                            session.turns[request.ref] = session.past_turns[request.ref] = turn
                            while len(session.past_turns) > PAST_TURNS:
                                session.past_turns.popitem(last=False)
                            if request.ref in session.cancelled:
                                session.start(self.cancel(session, request.ref))
                        result.add(event)
                        await session.emit(request.ref, event)
            if turn is not None and result.render_id is not None and result.render_active:
                session.start(self.announcements.follow(session, turn, request.text, result.render_id))
        except SoundstageError as error:
            await session.emit(request.ref, Failure.of(error))
        finally:
            session.turns.pop(request.ref, None)
            session.cancelled.discard(request.ref)
            if expects := await self._expected(session):
                session.start(self.transcription.warm_up())
            await session.instruct({"type": "answered", "ref": request.ref, "expects": expects})

    async def judge(self, session: Session, request: Judge) -> None:
        """Sends the worker what a sentence would lead to."""
        effect: Effect = ""
        with suppress(SoundstageError):
            await self.authorize(session)
            stored = await self.sessions.dialogue(session.principal, session.id)
            if (reader := self.runner.reader) is not None:
                effect = await reader.effect_of(session.principal, stored, request.text)
        await session.instruct({"type": "judged", "ref": request.ref, "effect": effect})

    async def _expected(self, session: Session) -> Expected:
        """Returns what the question asks for that is open now, where one is."""
        if not self.transcription.is_chosen:
            return ""
        try:
            stored = await self.sessions.dialogue(session.principal, session.id)
        except SoundstageError:
            return ""
        question = ConversationState.from_json(stored, utcnow()).dialogue.question
        if question is None or question.about in YES_OR_NO:
            return ""
        return "text" if FREE_TEXTS & set(question.missing) else "answer"

    async def cancel(self, session: Session, ref: int) -> None:
        """Ends the answer that the person interrupted; one that has not begun yet, as soon as it begins."""
        turn = session.turns.get(ref)
        if turn is None:
            session.cancelled.add(ref)
            return
        with suppress(SoundstageError):
            await self.runner.cancel(session.principal, *turn)

    async def note_played(self, session: Session, played: Played) -> None:
        """Notes in the conversation how far the person heard an answer."""
        turn = session.past_turns.get(played.ref)
        if turn is None:
            return
        with suppress(SoundstageError):
            await self.runner.cancel(session.principal, *turn)
            await self.sessions.note_played(session.principal, *turn, played.text)
        await session.show({"type": "played", "text": played.text})

    async def cancel_all(self, session: Session) -> None:
        """Ends the answers that run, with their session."""
        for turn in list(session.turns.values()):
            with suppress(SoundstageError):
                await self.runner.cancel(session.principal, *turn)
