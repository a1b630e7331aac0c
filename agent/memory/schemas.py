"""Wire types of the memory."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from soundstage.one_line import one_line

MAX_CHARS = 2000
How = Literal["meaning", "words", "time"]

MemoryText = Annotated[str, BeforeValidator(one_line), Field(min_length=1, max_length=MAX_CHARS)]
"""One line, so that it can forge no other line of a list."""


class RememberRequest(BaseModel, extra="forbid"):
    """Something to remember; for one persona, or for all of them."""

    text: MemoryText = Field(description="What to remember, as one would say it.")
    persona: str = Field(default="", max_length=80, description="Only in conversations with this persona.")
    keep_secret: bool = Field(
        default=False, description="Store it although it looks like a password, a key or a card number."
    )


class MemoryOut(BaseModel, from_attributes=True):
    """One memory. `likeness` is its similarity to the query, 0 to 1."""

    id: str
    text: str
    persona: str = ""
    session_id: str | None = None
    created_at: datetime
    likeness: float | None = None


class Recalled(BaseModel):
    """The found memories, and how: by meaning, by words (without the sentence model), or the newest first."""

    how: How
    memories: tuple[MemoryOut, ...]
    hint: str = Field(default="", description="Why words had to do.")


class Remembered(BaseModel):
    """The stored memory; `known` where it was stored before."""

    memory: MemoryOut
    known: bool = False


class Export(BaseModel):
    """All memories of one owner; the format of `soundstage memory export`."""

    format: Literal[1] = 1
    subject: str
    exported_at: datetime
    memories: tuple[MemoryOut, ...]
