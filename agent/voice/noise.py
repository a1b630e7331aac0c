"""Takes steady noise out of a person's sound before it is recognised; called by the voice pipeline."""

from __future__ import annotations

from typing import Any

from agent.voice.schemas import INPUT_HZ

FRAME = INPUT_HZ // 100 * 2
"""Bytes of 10 ms, which WebRTC's processing takes at a time."""


class NoiseFilter:
    """WebRTC's noise suppression and high-pass filter; it learns the noise of one session."""

    def __init__(self) -> None:
        from livekit import rtc

        self._rtc: Any = rtc
        self._processing = rtc.AudioProcessingModule(noise_suppression=True, high_pass_filter=True)
        self._rest = b""

    def clean(self, pcm: bytes) -> bytes:
        """Takes 16-bit mono at 16 kHz; returns whole frames, and keeps the rest for the next call."""
        pcm = self._rest + pcm
        end = len(pcm) // FRAME * FRAME
        self._rest = pcm[end:]
        result = bytearray()
        for at in range(0, end, FRAME):
            frame = self._rtc.AudioFrame(pcm[at : at + FRAME], INPUT_HZ, 1, FRAME // 2)
            self._processing.process_stream(frame)
            result += bytes(frame.data)
        return bytes(result)
