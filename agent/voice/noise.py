"""Prepares the sound of an utterance for the recogniser: suppresses its noise, and raises its noise floor.

The suppressor is WebRTC's; it needs the extra `voice`. Digital silence, which synthetic voices have inside
words and which browsers and suppressors leave between them, is far from all sounds of the acoustic model,
and its frames are left out of the cepstral mean: a little white noise covers it.
"""

from __future__ import annotations

import numpy as np

from agent.voice.echo import audio_frames

FLOOR = 40.0
"""Standard deviation of the white noise that is added, of 16-bit samples: 58 dB below full scale."""
LEAD_S = 0.3
"""Before the first word; its noise says whether to suppress any. Quiet sound loses short words by it."""
QUIET = 60.0
"""Standard deviation of 16-bit samples up to which a room is quiet: 55 dB below full scale."""


class NoiseSuppressor:
    """For one utterance, mono and 16 bits."""

    def __init__(self, sample_hz: int) -> None:
        from livekit import rtc

        self._suppressor = rtc.AudioProcessingModule(noise_suppression=True)
        self._sample_hz = sample_hz
        self._recorded = bytearray()
        self._floor = np.random.default_rng(0)
        self._is_noisy: bool | None = None

    def clean(self, sound: bytes) -> bytes:
        """Returns the sound with less noise: the first 0.3 s together, later up to 10 ms with the next."""
        self._recorded += sound
        if self._is_noisy is None:
            if len(self._recorded) < 2 * LEAD_S * self._sample_hz:
                return b""
            lead = np.frombuffer(self._recorded[: int(2 * LEAD_S * self._sample_hz)], dtype="<i2")
            self._is_noisy = bool(lead.std() > QUIET)
        cleaned = bytearray()
        for frame in audio_frames(self._recorded, self._sample_hz):
            if self._is_noisy:
                self._suppressor.process_stream(frame)
            cleaned += frame.data
        samples = np.frombuffer(cleaned, dtype="<i2")
        covered = np.rint(samples + self._floor.normal(0, FLOOR, samples.size))
        result: bytes = np.clip(covered, -32768, 32767).astype("<i2").tobytes()
        return result
