"""`TwinService`, a pipecat FrameProcessor around the Brain: words come in, an answer goes out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from pipecat.frames.frames import (
    DataFrame,
    Frame,
    InputTextRawFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.brain import Brain
from agent.events import BrainEvent, ConfirmationAsked, Failure, Notice, Text, TextPart
from agent.sessions.service import Conversation
from policy import Principal
from soundstage.database.tenants import tenant_scope
from soundstage.errors import SoundstageError
from soundstage.telemetry import trace


@dataclass
class BrainEventFrame(DataFrame):
    """An event of the Brain for whoever shows the conversation: tool steps, progress, the end."""

    event: BrainEvent


@dataclass
class _Typed(DataFrame):
    """What somebody typed, on its way through the same queue as what they said."""

    text: str


class TwinService(FrameProcessor):
    """Answers each `TranscriptionFrame` and `InputTextRawFrame` with text between response start and end.

    Answers come one after the other, in one session. An interruption ends the answer that is being given and
    drops what waits: pipecat cancels `process_frame` then, and the Brain notes the turn as cancelled.
    """

    def __init__(self, brain: Brain, principal: Principal, session_id: str | None = None) -> None:
        super().__init__()
        self._brain = brain
        self._principal = principal
        self._session_id = session_id

    @property
    def session_id(self) -> str | None:
        """The session, once something was said; the same over every other transport."""
        return self._session_id

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case InputTextRawFrame():
                # A system frame overtakes all others; answered here it would hold back an interruption.
                await self.queue_frame(_Typed(frame.text), direction)
            case TranscriptionFrame() | _Typed():
                await self._answer(frame.text)
            case _:
                await self.push_frame(frame, direction)

    async def _answer(self, utterance: str) -> None:
        if not utterance.strip():
            return
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            with trace(inherit=False), tenant_scope(self._principal.tenant):
                conversation = await self._conversation()
                async with aclosing(self._brain.respond(conversation, utterance)) as events:
                    await self._tell(events)
        except SoundstageError as error:
            await self._say(f"{error.message} {error.hint}".strip())
        await self.push_frame(LLMFullResponseEndFrame())

    async def _conversation(self) -> Conversation:
        conversation = await self._brain.sessions.open(self._principal, self._session_id)
        self._session_id = conversation.id
        return conversation

    async def _tell(self, events: AsyncGenerator[BrainEvent, None]) -> None:
        """Each event as a frame, and each sentence as text, once."""
        streamed = False
        async for event in events:
            await self.push_frame(BrainEventFrame(event))
            match event:
                case TextPart():
                    streamed = True
                    await self._say(event.text)
                case Text():
                    if not streamed:
                        await self._say(event.text)
                    streamed = False
                case Notice():
                    await self._say(event.text)
                case ConfirmationAsked() if event.say:
                    await self._say(f"To have this done, say: {event.say}")
                case Failure():
                    await self._say(f"{event.message} {event.hint}".strip())

    async def _say(self, text: str) -> None:
        await self.push_frame(LLMTextFrame(text))
