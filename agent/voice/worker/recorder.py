"""Sends the server what is said in a session that is recorded, sentence by sentence."""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from agent.voice.schemas import INPUT_HZ, OUTPUT_HZ

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Recorder:
    """Does nothing until the server switches it `on`."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.on = False
        self._sound = bytearray()
        self._is_whole = True
        """Whether the sentence that is heard now was recorded from its beginning."""
        self._began_at = 0.0
        self._sample_hz = OUTPUT_HZ

    def add(self, pcm: bytes, sample_hz: int) -> None:
        """Takes sound of the agent that is heard now."""
        if not self.on:
            self._is_whole = False
        elif not self._sound:
            self._began_at, self._sample_hz = time.time(), sample_hz
        self._sound += pcm if self.on else b""

    async def end_sentence(self, text: str) -> None:
        """Sends the agent's sentence that has just been heard, as far as it was."""
        sound, self._sound = bytes(self._sound), bytearray()
        is_whole, self._is_whole = self._is_whole, True
        if sound and is_whole:
            await self._record("agent", text, self._began_at, sound, self._sample_hz)

    async def add_person(self, text: str, began_at: float, pcm: bytes = b"") -> None:
        """Sends what the person has said from a moment on (Unix time), or without sound what they wrote."""
        await self._record("person", text, began_at, pcm, INPUT_HZ)

    async def _record(
        self, side: Literal["agent", "person"], text: str, began_at: float, pcm: bytes, sample_hz: int
    ) -> None:
        if self.on:
            sound = base64.b64encode(pcm).decode("ascii")
            message = {"side": side, "text": text, "began_at": began_at, "sound": sound}
            await self._send({"type": "recorded", "sample_hz": sample_hz, **message})
