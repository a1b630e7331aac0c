"""Wire types of pronunciations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

MAX_WORDS = 2000
Word = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\s\x00-\x1f\x7f]{1,64}$")]
"""One word as people write it, without a space in it: voices are corrected word by word."""
Spoken = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]


class PronunciationChange(BaseModel, extra="forbid"):
    """A merge patch (RFC 7396): words that are not named stay, null removes one."""

    pronunciation: dict[Word, Spoken | None] = Field(
        max_length=MAX_WORDS, description="word -> respelling, or /IPA/; null removes the word"
    )


class PronunciationView(BaseModel):
    word: str
    spoken: str
    updated_at: datetime
