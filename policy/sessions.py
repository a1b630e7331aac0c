"""The login of the page: a signed cookie that names an API key, checked against that key at every request."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from soundstage.database import utcnow
from soundstage.errors import Unavailable
from soundstage.private_files import made_once

COOKIE = "soundstage_session"
SECRET_BYTES = 32


class SessionSigner:
    """Makes and reads session tokens: `base64url(key id|expiry)` and its HMAC-SHA-256.

    Nothing is stored: a session ends when it expires, when its key does, or when the secret file is deleted.
    """

    def __init__(self, secret: bytes, hours: int) -> None:
        if len(secret) < SECRET_BYTES:
            raise ValueError("a session secret needs 32 bytes")
        self._secret = secret
        self.lifetime = timedelta(hours=hours)

    def sign(self, key_id: str, now: datetime | None = None) -> str:
        """A token for the key of that id, good for the lifetime."""
        expires = int(((now or utcnow()) + self.lifetime).timestamp())
        body = urlsafe_b64encode(f"{key_id}|{expires}".encode()).decode()
        return f"{body}.{self._mac(body)}"

    def read(self, token: str, now: datetime | None = None) -> str | None:
        """The id of the key, or None for a token that is forged, damaged or too old."""
        body, _, mac = token.partition(".")
        if not hmac.compare_digest(self._mac(body).encode(), mac.encode()):
            return None
        with suppress(Base64Error, UnicodeDecodeError, ValueError):
            key_id, _, expires = urlsafe_b64decode(body).decode().rpartition("|")
            if int(expires) > (now or utcnow()).timestamp():
                return key_id
        return None

    def _mac(self, body: str) -> str:
        return hmac.new(self._secret, b"session:" + body.encode(), hashlib.sha256).hexdigest()


def session_secret(state_dir: Path) -> bytes:
    """The secret in `state_dir/session.key`, made at the first start; readable by its owner only."""
    path = state_dir / "session.key"
    try:
        return made_once(path, lambda: secrets.token_bytes(SECRET_BYTES))
    except OSError as error:
        raise Unavailable(
            "policy.no_session_secret",
            f"The file {path} can be neither read nor made: {error.strerror}.",
            "Check that `state_dir` belongs to the user who runs soundstage.",
        ) from error
