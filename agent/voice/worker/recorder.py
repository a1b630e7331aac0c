"""Sends the server what is said in a session that is recorded, sentence by sentence."""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from agent.voice.schemas import INPUT_HZ, MAX_RECORDED_S, OUTPUT_HZ

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Recorder:
    """Does nothing until `start`. A sentence of the agent is what is heard between `begin` and `end`."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._on = False
        self._caption: dict[str, Any] | None = None
        self._sound = bytearray()
        self._began_at = 0.0
        self._sample_hz = OUTPUT_HZ
        self._sent_ms = 0.0
        """What was sent of this sentence, or was heard before the recording."""

    def start(self) -> None:
        """Records from the next sentence on."""
        self._on = True

    async def stop(self) -> None:
        """Sends what is heard of a sentence that is still going on, and that there is no more."""
        await self.end()
        self._on = False
        await self._send({"type": "recorded_all"})

    async def begin(self, caption: dict[str, Any]) -> None:
        """Takes what is heard from now on for a sentence: `text`, `words`, `duration_ms`."""
        await self.end()
        self._caption, self._sent_ms = (caption if self._on else None), 0.0

    async def add(self, pcm: bytes, sample_hz: int) -> None:
        """Takes sound of the agent that is heard now."""
        if self._caption is None:
            return
        if not self._sound:
            self._began_at, self._sample_hz = time.time(), sample_hz
        self._sound += pcm
        if self._sound_s >= MAX_RECORDED_S:
            await self._flush()

    async def end(self) -> None:
        """Sends the sentence as far as it was heard."""
        await self._flush()
        self._caption = None

    async def add_person(self, text: str, began_at: float, pcm: bytes = b"") -> None:
        """Sends what the person has said from a moment on (Unix time), or without sound what they wrote."""
        await self._record("person", text, began_at, pcm, INPUT_HZ)

    @property
    def _sound_s(self) -> float:
        return len(self._sound) / (2 * self._sample_hz)

    async def _flush(self) -> None:
        if self._caption is None or not self._sound:
            return
        begin_ms, self._sent_ms = self._sent_ms, self._sent_ms + 1000 * self._sound_s
        is_whole = begin_ms == 0 and self._sent_ms >= self._caption["duration_ms"]
        text = self._caption["text"] if is_whole else words_between(self._caption, begin_ms, self._sent_ms)
        sound, self._sound = bytes(self._sound), bytearray()
        await self._record("agent", text, self._began_at, sound, self._sample_hz)

    async def _record(
        self, side: Literal["agent", "person"], text: str, began_at: float, pcm: bytes, sample_hz: int
    ) -> None:
        if self._on:
            sound = base64.b64encode(pcm).decode("ascii")
            message = {"side": side, "text": text, "began_at": began_at, "sound": sound}
            await self._send({"type": "recorded", "sample_hz": sample_hz, **message})


def words_between(caption: dict[str, Any], begin_ms: float, end_ms: float) -> str:
    """Returns the words of a caption that began to sound in a span of its sound."""
    return " ".join(word["text"] for word in caption["words"] if begin_ms <= word["start_ms"] < end_ms)
