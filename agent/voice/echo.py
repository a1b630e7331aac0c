"""Takes the agent's own voice out of what a microphone hears, where no browser does: kiosks, the terminal.

WebRTC's echo canceller (AEC3) compares what was played with what was heard and follows the way between them,
up to half a second long. It comes with the extra `voice`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

FRAME_S = 0.01
"""The canceller takes pieces of this length alone."""


class EchoCanceller:
    """For one microphone and one loudspeaker, mono and 16 bits. Thread-safe: devices call from their own.

    Raises ImportError without the extra `voice`.
    """

    def __init__(self, input_hz: int, output_hz: int) -> None:
        from livekit import rtc

        self._canceller = rtc.AudioProcessingModule(echo_cancellation=True, high_pass_filter=True)
        self._lock = threading.Lock()
        self._input_hz, self._output_hz = input_hz, output_hz
        self._played, self._recorded = bytearray(), bytearray()

    def set_delay(self, seconds: float) -> None:
        """Takes the seconds from the loudspeaker's buffer to the microphone's, which it then corrects."""
        with self._lock:
            self._canceller.set_stream_delay_ms(round(seconds * 1000))

    def play(self, sound: bytes) -> None:
        """Takes what the loudspeaker plays next, silence too, of any length."""
        with self._lock:
            self._played += sound
            for piece in audio_frames(self._played, self._output_hz):
                self._canceller.process_reverse_stream(piece)

    def clean(self, sound: bytes) -> bytes:
        """Returns what was heard, without the echo of what was played; up to 10 ms come with the next."""
        cleaned = bytearray()
        with self._lock:
            self._recorded += sound
            for piece in audio_frames(self._recorded, self._input_hz):
                self._canceller.process_stream(piece)
                cleaned += bytes(piece.data)
        return bytes(cleaned)


def audio_frames(sound: bytearray, sample_hz: int) -> Iterator[Any]:
    """Takes whole frames of WebRTC's audio processing from the beginning of `sound`."""
    from livekit import rtc

    samples = round(sample_hz * FRAME_S)
    while len(sound) >= 2 * samples:
        yield rtc.AudioFrame(bytearray(sound[: 2 * samples]), sample_hz, 1, samples)
        del sound[: 2 * samples]
