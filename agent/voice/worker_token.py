"""The token by which voice workers identify themselves: a file that the server makes and its owner reads."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from fastapi.requests import HTTPConnection

from soundstage.bearer import bearer_token
from soundstage.errors import Unauthorized
from soundstage.private_files import read_or_create

TOKEN_FILE = "voice-worker.token"  # noqa: S105


def worker_token(state_dir: Path) -> str:
    """Returns the token of this installation; the first call makes it."""
    return read_or_create(state_dir / TOKEN_FILE, lambda: secrets.token_urlsafe(32).encode()).decode().strip()


def check_worker(connection: HTTPConnection, state_dir: Path) -> None:
    """Raises `voice.bad_worker_token` for a connection that does not bring the token."""
    if not hmac.compare_digest(bearer_token(connection).encode(), worker_token(state_dir).encode()):
        raise Unauthorized(
            "voice.bad_worker_token",
            "This is not the token of the voice workers of this installation.",
            f"It is in the file {TOKEN_FILE} of the server's state folder.",
        )
