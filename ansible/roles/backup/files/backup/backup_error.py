"""The error of `soundstage-backup`: a code, a sentence and a hint."""

from __future__ import annotations


class BackupError(Exception):
    """Something that a person has to look at; `hint` says where."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.hint = code, hint
