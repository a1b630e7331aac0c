"""The few error classes; every room raises them with its own codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class SoundstageError(Exception):
    """Base of every expected failure.

    `code` is stable and documented (`project.not_found`), `message` says what happened to what, `hint` says
    what to do next. `headers` go out with the HTTP answer (`WWW-Authenticate`, `Retry-After`). `field` is
    the path of the field of the request's body that is to blame (`name`, `consent.person`).
    """

    default_status: ClassVar[int] = 500

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        status: int | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        field: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.status = self.default_status if status is None else status
        self.headers = dict(headers or {})
        self.field = field

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" ({self.hint})" if self.hint else "")

    def __reduce__(self) -> tuple[object, tuple[object, ...], dict[str, object]]:
        # Exception's own form would call us again with the message alone, and a process pool would then hang.
        state: dict[str, object] = {"headers": self.headers, "field": self.field}
        return (type(self), (self.code, self.message, self.hint, self.status), state)


class Invalid(SoundstageError):
    """The request cannot be used as it is; a retry will not help."""

    default_status = 422


class Unauthorized(SoundstageError):
    """Raised for a request that is not authenticated."""

    default_status = 401


class Forbidden(SoundstageError):
    """Raised when an authenticated caller lacks a permission."""

    default_status = 403


class NotFound(SoundstageError):
    """There is no such thing, or the caller may not know of it."""

    default_status = 404


class Conflict(SoundstageError):
    """The state of the thing forbids this now."""

    default_status = 409


class TooLarge(SoundstageError):
    """More bytes than a limit allows."""

    default_status = 413


class TooManyRequests(SoundstageError):
    """The caller asks more often than it may; `Retry-After` says when to come again."""

    default_status = 429


class Upstream(SoundstageError):
    """A service that we called failed or answered nonsense."""

    default_status = 502


class Unavailable(SoundstageError):
    """Something that this step needs is missing or busy; trying later, or installing it, may help."""

    default_status = 503


class StorageFull(SoundstageError):
    """The disk or the quota has no room left."""

    default_status = 507
