"""Failures of a step of a publication; raised by the YouTube client, caught by the publisher.

PublishError
├── TransientError        the network or YouTube failed; a retry of the same step resumes
├── UploadSessionExpired  the upload session is gone; a new one starts from the first byte
├── TokenExpired          a fresh token is needed, then the same step again
├── QuotaUsedUp           nothing more today
└── Refused               no retry will help; a person has to act
"""

from __future__ import annotations

from avatar.spec import Failed


class PublishError(Exception):
    """Base class of the errors of a step."""


class TransientError(PublishError):
    def __init__(self, why: str, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after_s = retry_after_s


class UploadSessionExpired(PublishError):
    pass


class TokenExpired(PublishError):
    pass


class QuotaUsedUp(PublishError):
    """`by_local_count`: our own count has reached the limit; otherwise YouTube reported it, and our count was
    too low.
    """

    def __init__(self, *, by_local_count: bool = False) -> None:
        super().__init__()
        self.by_local_count = by_local_count


class Refused(PublishError):
    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    @property
    def failure(self) -> Failed:
        """Returns the failure that is stored and shown."""
        return Failed(code=self.code, message=self.message, hint=self.hint)
