"""Wire types of transcriptions."""

from __future__ import annotations

from pydantic import BaseModel, Field


class TranscriptionRequest(BaseModel, extra="forbid"):
    """A recording or footage that was uploaded already."""

    asset: str = Field(min_length=1, max_length=80, description="id of an asset with sound")
    language: str = Field("", max_length=12, description="a code such as `en`; empty: not known")


class WordOut(BaseModel):
    """A word with its times, and how sure the recogniser is of it, from 0 to 1."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float


class Transcription(BaseModel):
    """The speech of a recording: text, words with times, and the same as captions."""

    text: str
    language: str
    duration_ms: int
    confidence: float = Field(description="mean of the words, from 0 to 1")
    recogniser: str = Field(description="what recognised it: a model, and where it runs")
    words: tuple[WordOut, ...]
    vtt: str = Field(description="captions as WebVTT")
    srt: str = Field(description="captions as SubRip")
