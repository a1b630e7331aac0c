"""Classifies answers of Google: done, later, with a fresh token, tomorrow, or never; for the client."""

from __future__ import annotations

from typing import Any

import httpx

from soundstage.http import retry_after_of
from studio.publishing.errors import (
    PublishError,
    QuotaUsedUp,
    Refused,
    TokenExpired,
    TransientError,
    UploadSessionExpired,
)

# Reasons of 403 and 429 answers: developers.google.com/youtube/v3/docs/errors
QUOTA_REASONS = frozenset({"quotaExceeded", "dailyLimitExceeded", "uploadLimitExceeded"})
RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "backendError"})
LONGEST_MESSAGE = 300


def publish_error_of(answer: httpx.Response) -> PublishError:
    """For any answer that is not the one hoped for."""
    reason, message = _reason(answer)
    status = answer.status_code
    if status == 401:
        return TokenExpired()
    if reason in QUOTA_REASONS:
        return QuotaUsedUp()
    if status >= 500 or status in (408, 429) or reason in RATE_REASONS:
        return TransientError(f"YouTube answered {status} {message}".strip(), retry_after_of(answer))
    if status in (404, 410):
        return UploadSessionExpired()
    return Refused(
        "publication.refused",
        f"YouTube refused it: {message or status}" + (f" ({reason})" if reason else ""),
        "Change what it complains of, then publish again.",
    )


def json_of(answer: httpx.Response) -> dict[str, Any]:
    """Raises TransientError for an answer that is not a JSON object: a proxy's error page, for example."""
    try:
        found = answer.json()
    except ValueError as error:
        raise TransientError("YouTube's answer cannot be read") from error
    if not isinstance(found, dict):
        raise TransientError("YouTube's answer cannot be read")
    return found


def _reason(answer: httpx.Response) -> tuple[str, str]:
    """`{"error": {"message": …, "errors": [{"reason": …}]}}`, or nothing of it."""
    try:
        error = answer.json()["error"]
        message = str(error.get("message", ""))[:LONGEST_MESSAGE]
        errors = error.get("errors") or [{}]
        return str(errors[0].get("reason", "")), message
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return "", ""
