"""The port of recognisers of free speech, and what every recogniser returns."""

from __future__ import annotations

import io
import wave
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

SAMPLE_HZ = 16_000
"""Sound is 16-bit PCM, mono, little-endian."""
BYTES_PER_S = 2 * SAMPLE_HZ
OnPartial = Callable[[str], Awaitable[None]]
"""Takes the text so far."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word, when it was said in milliseconds from the start of the sound, and how sure that is (0 to 1)."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """Recognised speech. `confidence` is the mean of its words; without words nothing was said."""

    text: str
    words: tuple[TimedWord, ...] = ()
    language: str = ""

    @property
    def confidence(self) -> float:
        return sum(word.confidence for word in self.words) / len(self.words) if self.words else 0.0


class Recogniser(Protocol):
    """Recognises free speech. One sound at a time; others wait."""

    @property
    def name(self) -> str:
        """Returns what recognises, for people: a model and where it runs."""

    async def recognise(
        self, pcm: bytes, language: str = "", on_partial: OnPartial | None = None
    ) -> Transcript:
        """Returns the words of a sound; `language` is a code such as `en`, empty where it is not known.
        Raises `transcription.…`.
        """

    async def close(self) -> None:
        """Ends what it has started."""


def wav_of(pcm: bytes, sample_hz: int = SAMPLE_HZ) -> bytes:
    """Returns 16-bit mono PCM as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(sample_hz)
        target.writeframes(pcm)
    return file.getvalue()
