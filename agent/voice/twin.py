"""`TwinService`, a pipecat FrameProcessor around the agent: words come in, an answer goes out."""

from __future__ import annotations

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

from agent.events import BrainEvent, ConfirmationRequested, Failure, Text, TextPart, plain_text
from agent.voice.answering import Answering
from soundstage.errors import SoundstageError


@dataclass
class BrainEventFrame(DataFrame):
    """An event of the answer, for processors that display the conversation: tool steps, progress, the end."""

    event: BrainEvent


@dataclass
class _Typed(DataFrame):
    """Typed text in the queue of the transcriptions."""

    text: str


class TwinService(FrameProcessor):
    """Answers each `TranscriptionFrame` and `InputTextRawFrame` with text between response start and end.

    Answers come one after the other, in one session. An interruption ends the answer that is being given and
    drops what waits: pipecat cancels `process_frame` then, and the Brain notes the turn as cancelled.
    """

    def __init__(self, answers: Answering) -> None:
        super().__init__()
        self._answers = answers

    @property
    def session_id(self) -> str | None:
        """The session, once something was said; the same over every other transport."""
        return self._answers.session_id

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
            await self._answers.answer(utterance, _Speaker(self).present)
        except SoundstageError as error:
            await self.push_frame(LLMTextFrame(plain_text(Failure.of(error))))
        await self.push_frame(LLMFullResponseEndFrame())


class _Speaker:
    """Pushes the events of one answer: each as a frame, and each sentence as text, once."""

    def __init__(self, processor: FrameProcessor) -> None:
        self._processor = processor
        self._streamed = False

    async def present(self, event: BrainEvent) -> None:
        await self._processor.push_frame(BrainEventFrame(event))
        if isinstance(event, TextPart):
            text, self._streamed = event.text, True
        elif isinstance(event, Text):
            text, self._streamed = "" if self._streamed else event.with_choices, False
        elif isinstance(event, ConfirmationRequested):
            text = f"To have this done, say: {event.say}" if event.say else ""
        else:
            text = plain_text(event)
        if text:
            await self._processor.push_frame(LLMTextFrame(text))
