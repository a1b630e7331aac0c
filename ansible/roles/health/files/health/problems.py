"""What a check found, in one form for people, the log and Ansible; all of `soundstage-health` uses it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """What is wrong (`code`, one sentence) and what to do about it (`hint`); `check` names the check."""

    check: str
    code: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.hint}"
