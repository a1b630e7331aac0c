"""WAV files for the speech tests, and the sentences they say."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from avatar.spec import MediaRef
from avatar.tracks import SpeechTrack

SENTENCES = (
    "Hello, my name is Nova. People often believe that making a video is very difficult. "
    "The quick brown fox jumps over the lazy dog, while many birds sing above the old river."
)

Speaker = Callable[..., SpeechTrack]


def samples_of(path: Path) -> npt.NDArray[np.int16]:
    with wave.open(str(path), "rb") as source:
        assert (source.getnchannels(), source.getsampwidth()) == (1, 2)
        return np.frombuffer(source.readframes(source.getnframes()), dtype="<i2")


def write_wav(path: Path, samples: npt.NDArray[np.int16], rate_hz: int, channels: int = 1) -> MediaRef:
    with wave.open(str(path), "wb") as target:
        target.setnchannels(channels)
        target.setsampwidth(2)
        target.setframerate(rate_hz)
        target.writeframes(samples.astype("<i2").tobytes())
    return MediaRef(path=str(path))
