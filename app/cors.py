"""Which other pages may call the API from a browser; called by `create_app`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "Last-Event-ID",
    "traceparent",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
)
ANSWER_HEADERS = (
    "ETag",
    "Link",
    "Location",
    "Retry-After",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Asset",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-Total-Count",
)


def cors(origins: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of Starlette's CORSMiddleware for an allow-list of origins.

    Without credentials: a foreign page sends an API key that it was given, and never this server's cookie.
    """
    return {
        "allow_origins": [origin.rstrip("/") for origin in origins],
        "allow_methods": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        "allow_headers": list(REQUEST_HEADERS),
        "expose_headers": list(ANSWER_HEADERS),
        "allow_credentials": False,
        "max_age": 600,
    }
