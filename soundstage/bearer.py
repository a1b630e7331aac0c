"""Reads the bearer token of a connection (RFC 6750, section 2.1); what it means is its reader's to say."""

from __future__ import annotations

from starlette.requests import HTTPConnection


def bearer_token(connection: HTTPConnection) -> str:
    """Returns the token of the Authorization header; "" where there is none, or of another scheme."""
    scheme, _, token = connection.headers.get("authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
