"""Words, phonemes and visemes with their times: the result of `avatar speak`, for other avatars."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from avatar.spec.base import SpecModel

LEVEL_HZ = 25

VisemeName = Literal[
    "sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U"
]  # fmt: skip
"""The fifteen mouth shapes that browsers' avatars know (the set of Oculus Lipsync, also of VRM helpers)."""


class TimedWord(SpecModel):
    """A word as it was written. Times are milliseconds from the start of the sound."""

    text: str
    start_ms: int
    end_ms: int


class TimedViseme(SpecModel):
    """One mouth shape; they follow each other without gaps from 0 to the end of the sound."""

    viseme: VisemeName
    start_ms: int
    end_ms: int


class TimedPhone(SpecModel):
    """One phoneme in IPA; "" is silence. Times are milliseconds from the start of the sound."""

    ipa: str
    start_ms: int
    end_ms: int


class SpeechSheet(SpecModel):
    """`level` holds the loudness of the voice, 0 to 1, `level_hz` times per second."""

    version: Literal[1] = 1
    duration_ms: int = Field(ge=0)
    sample_rate_hz: int
    words: tuple[TimedWord, ...]
    visemes: tuple[TimedViseme, ...]
    phones: tuple[TimedPhone, ...] = ()
    level_hz: int = LEVEL_HZ
    level: tuple[float, ...]
    phone_source: str = Field(description="where the times come from: engine, aligned, recognised, energy")
