"""Findings of checks, in one form for people, the log and Ansible; all of `soundstage-health` uses it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A problem (`code`, one sentence) and its remedy (`hint`); `check` names the check."""

    check: str
    code: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.hint}"
