"""The login of the page: a signed cookie that names an API key, checked against that key at every request."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt

from soundstage.database import new_id, utcnow
from soundstage.errors import Unavailable
from soundstage.key_sealing import UNSEALED, KeyFiles, SealingSettings

COOKIE = "soundstage_session"
SECRET_BYTES = 32
ALGORITHM = "HS256"
ISSUER = "soundstage"
AUDIENCE = "soundstage:page"


@dataclass(frozen=True, slots=True)
class Login:
    """One login of one page: its own id, and that of the key behind it."""

    id: str
    key_id: str
    expires_at: datetime


class SessionSigner:
    """Makes and reads session tokens: JSON web tokens (RFC 7519) signed with HMAC-SHA-256.

    Only logins that were ended are stored: one ends by a logout, when it expires, when its
    key does, or when the secret file is deleted.
    """

    def __init__(self, secret: bytes, hours: int) -> None:
        if len(secret) < SECRET_BYTES:
            raise ValueError("a session secret needs 32 bytes")
        self._secret = secret
        self.lifetime = timedelta(hours=hours)

    def sign(self, key_id: str, now: datetime | None = None) -> str:
        """A token for the key of that id, good for the lifetime."""
        issued = now or utcnow()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": key_id,
            "iat": int(issued.timestamp()),
            "exp": int((issued + self.lifetime).timestamp()),
            "jti": new_id("jwt"),
        }
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def read(self, token: str, now: datetime | None = None) -> Login | None:
        """Returns what the token says, or None for one that is forged, damaged or too old."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                # One algorithm by name: a token must not choose how it is checked.
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp", "sub", "iat", "jti"], "verify_exp": False, "verify_iat": False},
            )
        except (jwt.InvalidTokenError, ValueError):
            return None
        # Compared here, because the clock of a test is not that of the machine.
        expires, key_id = claims["exp"], claims["sub"]
        if not isinstance(expires, int) or expires <= (now or utcnow()).timestamp():
            return None
        return Login(str(claims["jti"]), str(key_id), datetime.fromtimestamp(expires, UTC))


def session_secret(state_dir: Path, sealing: SealingSettings = UNSEALED) -> bytes:
    """The secret in `state_dir/session.key`, made at the first start; readable by its owner only."""
    path = state_dir / "session.key"
    try:
        return KeyFiles(state_dir, sealing).read_or_create(
            path.name, lambda: secrets.token_bytes(SECRET_BYTES)
        )
    except OSError as error:
        raise Unavailable(
            "policy.no_session_secret",
            f"The file {path} can be neither read nor made: {error.strerror}.",
            "Check that `state_dir` belongs to the user who runs soundstage.",
        ) from error
