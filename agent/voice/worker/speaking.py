"""Speaks answers sentence by sentence; a pipecat processor behind `TwinService`."""

from __future__ import annotations

import re

from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputTransportMessageFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.voice.schemas import MORE
from agent.voice.worker.link import SessionLink

SENTENCE = "sentence"
"""Of a caption's frame: the number of its sentence for the presenter's video."""
SENTENCES = 2
"""So many sentences of an answer are spoken; the rest when the person says “go on”."""
_END = re.compile(r"(?<=[.!?…])\s+|\n+")


def split_sentences(text: str) -> list[str]:
    """Returns the sentences and lines of a text; each is spoken by itself, the first one at once."""
    return [one for one in map(str.strip, _END.split(text)) if one]


class Speaking(FrameProcessor):
    """Turns text into sound, and into captions with the times of words and mouth shapes before it."""

    def __init__(self, link: SessionLink) -> None:
        super().__init__()
        self._link = link
        self._spoken = 0
        self._rest: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case LLMFullResponseStartFrame():
                self._spoken, self._rest = 0, []
            case LLMTextFrame():
                await self._say_text(frame.text)
            case LLMFullResponseEndFrame():
                if self._rest:
                    await self._say(MORE)
                elif not self._spoken:
                    await self._link.tell("state", state="listening")
            case TTSSpeakFrame():
                await self._say(frame.text)
                return
            case InterruptionFrame():
                self._rest = []
        await self.push_frame(frame, direction)

    async def say_more(self) -> bool:
        """Queues the rest of the last answer; returns False where there is none."""
        rest, self._rest = self._rest, []
        for sentence in rest:
            await self.queue_frame(TTSSpeakFrame(sentence))
        return bool(rest)

    async def _say_text(self, text: str) -> None:
        for sentence in split_sentences(text):
            if self._spoken < SENTENCES:
                self._spoken += await self._say(sentence)
            else:
                self._rest.append(sentence)

    async def _say(self, sentence: str) -> bool:
        """Pushes the caption and the sound of a sentence; returns whether there was anything to say."""
        sound = await self._link.speak(sentence)
        if sound is None:
            return False
        caption = OutputTransportMessageFrame(
            {"type": "caption", "data": {"text": sound.text, **sound.sheet}}
        )
        if self._link.face is not None:
            caption.metadata[SENTENCE] = self._link.face.prepare(sound)
        await self.push_frame(TTSStartedFrame())
        await self.push_frame(caption)
        await self.push_frame(TTSAudioRawFrame(sound.pcm, sound.sample_hz, 1))
        await self.push_frame(TTSStoppedFrame())
        return True
