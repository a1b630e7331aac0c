"""The English model that comes with pocketsphinx, and sound as it wants it, for `align` and `recognise`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pocketsphinx import get_model_path

from avatar.speech.decode import read_resampled
from avatar.speech.sound import Samples

MODEL_RATE_HZ = 16_000
FRAME_MS = 10
ROOM_NOISE = 4.0
"""Standard deviation in 16-bit steps, -78 dB: a model trained in rooms takes pure zeros for speech."""
SCHWA_MS = 80
"""The dictionary does not mark stress: a shorter AH than this is taken for a schwa."""


def model_folder() -> Path:
    return Path(get_model_path()) / "en-us"


def model_sound(wav: Path, start_ms: int, end_ms: int) -> Samples:
    """A span as the model wants it: 16 kHz, and never digitally silent: it has not heard that."""
    sound = read_resampled(wav, MODEL_RATE_HZ, start_ms, end_ms)
    noise = np.random.default_rng(start_ms).normal(0.0, ROOM_NOISE, len(sound))
    return np.asarray(np.clip(sound + np.rint(noise), -32768, 32767), dtype=np.int16)


def display_ipa(arpabet: str, ipa: str, length_ms: int) -> str:
    """The IPA to report for a sound that lasted `length_ms`."""
    return "ə" if arpabet == "AH" and ipa == "ʌ" and length_ms < SCHWA_MS else ipa
