"""What a tool call would change, where and for how long: shown by a dry run, approved by people, hashed."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict, Field


class Change(BaseModel):
    """One thing that would be different afterwards; `where` names the machine, video or file."""

    model_config = ConfigDict(frozen=True)

    what: str = Field(max_length=400)
    where: str = Field(default="", max_length=400)


class Plan(BaseModel):
    """The changes in their order; `seconds` is an estimate of how long it takes, None when nobody knows."""

    model_config = ConfigDict(frozen=True)

    changes: tuple[Change, ...] = Field(max_length=1000)
    seconds: float | None = Field(default=None, ge=0)

    @property
    def sha256(self) -> str:
        """Of the changes: an estimate may differ a minute later, what is done may not."""
        content = [[change.what, change.where] for change in self.changes]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    def sentence(self) -> str:
        """A line per change, and how long it takes."""
        if not self.changes:
            return "Nothing would change."
        lines = [
            f"  • {change.what}" + (f": {change.where}" if change.where else "") for change in self.changes
        ]
        if self.seconds is not None:
            lines.append(f"It takes about {_duration(self.seconds)}.")
        return "\n".join(lines)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
