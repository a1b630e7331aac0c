"""Failures of a step of a publication; raised by the YouTube client, caught by the publisher.

Trouble
├── Interrupted    the way there or the other side failed; the same step later goes on
├── SessionGone    the address of the upload is not known any more; a new one starts from the first byte
├── TokenExpired   a fresh token is needed, then the same step again
├── QuotaUsedUp    nothing more today
└── Refused        no repetition will help; a person has to act
"""

from __future__ import annotations

from avatar.spec import Failed


class Trouble(Exception):
    """Base of these."""


class Interrupted(Trouble):
    def __init__(self, why: str, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after_s = retry_after_s


class SessionGone(Trouble):
    pass


class TokenExpired(Trouble):
    pass


class QuotaUsedUp(Trouble):
    """`counted`: by our own count; otherwise YouTube says so, and our count was wrong."""

    def __init__(self, *, counted: bool = False) -> None:
        super().__init__()
        self.counted = counted


class Refused(Trouble):
    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    @property
    def failure(self) -> Failed:
        """As it is kept and shown."""
        return Failed(code=self.code, message=self.message, hint=self.hint)
