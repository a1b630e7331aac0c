"""Errors of the worker: a code, a sentence and a hint, printed as one JSON line before a non-zero exit."""

from __future__ import annotations

from collections.abc import Sequence


class AvatarError(Exception):
    """Base of every expected failure. `code` is stable (`face.not_found`), `hint` says what to do next;
    `details` is the whole of a list of which `message` names the first, a line each.
    """

    def __init__(self, code: str, message: str, hint: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details = tuple(details)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" ({self.hint})" if self.hint else "")


def first_line(error: Exception) -> str:
    """Returns what an error of a library says, without what follows in further lines."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip().rstrip(".")[:200]


class InvalidInput(AvatarError):
    """The spec or a file in it cannot be used as it is; a retry will not help."""


class Unavailable(AvatarError):
    """A program, package or service that this step needs is missing or does not answer."""


class Cancelled(AvatarError):
    """The caller asked us to stop; nothing partial is left behind."""
