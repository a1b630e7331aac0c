"""Describes what a tool call would change, where and for how long: for dry runs and approvals."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, Field

from agent.presentation import Blocks, as_text, items, page
from soundstage.one_line import harmless

_MAX_CHARS = 400


class Change(BaseModel, frozen=True):
    """One thing that would be different afterwards; `where` names the machine, video or file."""

    what: str = Field(max_length=_MAX_CHARS)
    where: str = Field(default="", max_length=_MAX_CHARS)
    deletes: bool = Field(default=False, description="what is there now cannot be had back")


def change(what: str, where: str = "", *, deletes: bool = False) -> Change:
    """A change in words of others, which may be long. What is too long is cut, and says of the whole how long
    it is and its SHA-256: so people, and the hash of the plan, are bound to all of it.
    """
    return Change(what=_cut(what), where=_cut(where), deletes=deletes)


class Plan(BaseModel, frozen=True):
    """The changes in their order; `seconds` is an estimate of how long it takes, None when unknown."""

    changes: tuple[Change, ...] = Field(max_length=1000)
    seconds: float | None = Field(default=None, ge=0)

    @property
    def sha256(self) -> str:
        """Of the changes: an estimate may differ a minute later, what is done may not."""
        content = [[change.what, change.where] for change in self.changes]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    def presentation(self) -> Blocks:
        """Returns an entry per change, and how long it takes. A change never makes a line of its own."""
        if not self.changes:
            return page("Nothing would change.")
        changes = [
            _line(change.what) + (f": {_line(change.where)}" if change.where else "")
            for change in self.changes
        ]
        about = "" if self.seconds is None else "It is done at once."
        return page(
            items(changes, "•"), f"It takes about {_duration(self.seconds)}." if self.seconds else about
        )

    def sentence(self) -> str:
        return as_text(self.presentation())


def _line(text: str) -> str:
    return " ".join(harmless(text).split())


def _cut(text: str) -> str:
    shown = " ".join(text.split())
    if len(shown) <= _MAX_CHARS:
        return shown
    whole = hashlib.sha256(text.encode()).hexdigest()
    end = f"… ({len(text)} characters in all, sha256 {whole})"
    return f"{shown[: _MAX_CHARS - len(end)]}{end}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
