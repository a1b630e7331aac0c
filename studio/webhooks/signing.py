"""Signatures of the Standard Webhooks specification 1.0; used by the sender, and an example for receivers."""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256

SECRET_PREFIX = "whsec_"  # noqa: S105 - it only says what follows
SECRET_BYTES = 32


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base 64."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: str) -> str:
    """`v1,` and the HMAC-SHA-256 of `id.timestamp.body` in base 64."""
    key = b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.{body}".encode()
    return "v1," + b64encode(hmac.new(key, signed, sha256).digest()).decode()


def headers_of(secrets_: Iterable[str], message_id: str, timestamp: int, body: str) -> dict[str, str]:
    """Returns what goes out with `body`. While a secret is being replaced, both sign."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(one, message_id, timestamp, body) for one in secrets_),
    }
