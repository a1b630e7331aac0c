"""Knows what the person has heard of an answer, and after how long; a pipecat processor after an output."""

from __future__ import annotations

from typing import Any

from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMFullResponseStartFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.voice.worker.link import SessionLink
from agent.voice.worker.recorder import words_between
from agent.voice.worker.speaking import SENTENCE


class Playback(FrameProcessor):
    """Counts the sound that was sent since the last caption: an output passes on what it has written.

    On an interruption it reports the sentences that were heard, and of the last one the words that had begun.
    """

    def __init__(self, link: SessionLink) -> None:
        super().__init__()
        self._link = link
        self._sentences: list[str] = []
        self._caption: dict[str, Any] | None = None
        self._played_ms = 0.0
        self._awaits_sound = False
        self._sentence: int | None = None
        """The number of the sentence whose sound has not begun."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case LLMFullResponseStartFrame():
                self._sentences, self._caption, self._awaits_sound = [], None, True
            case OutputTransportMessageFrame() if frame.message.get("type") == "caption":
                if self._caption is not None:
                    self._sentences.append(self._caption["text"])
                self._caption, self._played_ms = frame.message["data"], 0.0
                await self._link.recorder.begin(frame.message["data"])
                self._sentence = frame.metadata.get(SENTENCE)
            case OutputAudioRawFrame():
                if self._link.face is not None and self._sentence is not None:
                    self._link.face.begin(self._sentence)
                    self._sentence = None
                if self._awaits_sound:
                    self._awaits_sound = False
                    await self._link.report_delay("first_sound", self._link.person_ended_at)
                self._played_ms += 1000 * len(frame.audio) / (2 * frame.sample_rate)
                await self._link.recorder.add(frame.audio, frame.sample_rate)
                if self._caption is not None and self._played_ms >= self._caption["duration_ms"]:
                    await self._link.recorder.end()
            case InterruptionFrame():
                self._awaits_sound = False
                await self._link.recorder.end()
                if self._link.face is not None:
                    self._link.face.hush()
                await self._report()
        await self.push_frame(frame, direction)

    async def _report(self) -> None:
        caption, self._caption = self._caption, None
        if caption is None or self._played_ms >= caption["duration_ms"]:
            # Nothing was being said, or everything was heard.
            return
        await self._link.report_delay("barge_in", self._link.person_began_at)
        text = " ".join([*self._sentences, words_between(caption, 0, self._played_ms)]).strip()
        self._sentences = []
        await self._link.report_played(text)
