"""OAuth 2 for installed programs (RFC 8252) with PKCE (RFC 7636): codes and tokens; for accounts."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx

from soundstage.database import utcnow
from soundstage.errors import Unavailable
from soundstage.settings import YoutubeSettings
from studio.publishing.answers import json_of
from studio.publishing.errors import Refused, TransientError

SCOPES = (
    "https://www.googleapis.com/auth/youtube.upload",
    # For captions, and to see how the processing goes.
    "https://www.googleapis.com/auth/youtube.force-ssl",
)
# RFC 6749 §5.2: these do not go away by themselves.
FINAL = frozenset({"invalid_grant", "unauthorized_client", "access_denied"})


@dataclass(frozen=True, slots=True)
class Tokens:
    """`refresh` is None when the old one stays good."""

    access: str
    refresh: str | None
    expires_at: datetime


def new_verifier() -> str:
    return secrets.token_urlsafe(64)


def consent_url(settings: YoutubeSettings, redirect_uri: str, state: str, verifier: str) -> str:
    """The page to send the owner of the channel to."""
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "client_id": settings.client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": " ".join(SCOPES),
        # Together these make Google give a refresh token every time, not only at the first consent.
        "access_type": "offline",
        "prompt": "consent",
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{settings.consent_url}?{urlencode(query)}"


async def exchange(
    http: httpx.AsyncClient, settings: YoutubeSettings, code: str, verifier: str, redirect_uri: str
) -> Tokens:
    """Tokens for the code that the consent page gave."""
    return await _ask(
        http,
        settings,
        {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        },
    )


async def refresh(http: httpx.AsyncClient, settings: YoutubeSettings, refresh_token: str) -> Tokens:
    """A fresh access token; Refused `publishing.revoked` when the owner has taken the consent back."""
    return await _ask(http, settings, {"grant_type": "refresh_token", "refresh_token": refresh_token})


async def revoke(http: httpx.AsyncClient, settings: YoutubeSettings, refresh_token: str) -> None:
    """Revokes the tokens. Raises TransientError when Google does not answer."""
    try:
        await http.post(str(settings.revoke_url), data={"token": refresh_token})
    except httpx.HTTPError as error:
        raise TransientError(f"the connection to Google broke ({type(error).__name__})") from error


async def _ask(http: httpx.AsyncClient, settings: YoutubeSettings, form: dict[str, str]) -> Tokens:
    secret = client_secret(settings.client_secret_file)
    data = {"client_id": settings.client_id, **({"client_secret": secret} if secret else {}), **form}
    try:
        answer = await http.post(str(settings.token_url), data=data)
    except httpx.HTTPError as error:
        raise TransientError(f"the connection to Google broke ({type(error).__name__})") from error
    if answer.status_code >= 500 or answer.status_code == 429:
        raise TransientError(f"Google answered {answer.status_code} when asked for a token")
    found = json_of(answer)
    if answer.status_code != 200:
        reason = str(found.get("error", answer.status_code))
        raise Refused(
            "publishing.revoked" if reason in FINAL else "publishing.client_refused",
            f"Google gives no token: {reason}.",
            "Connect the account again (`soundstage publish connect`)."
            if reason in FINAL
            else "Check youtube.client_id and youtube.client_secret_file.",
        )
    access = found.get("access_token")
    if not isinstance(access, str) or not access:
        raise TransientError("Google's answer holds no token")
    lifetime = timedelta(seconds=float(found.get("expires_in", 3600)))
    return Tokens(access, found.get("refresh_token"), utcnow() + lifetime)


def client_secret(path: Path | None) -> str | None:
    """Read now, so that a changed file counts at once. The secret of an installed program is optional."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(
            "settings.key_file_unreadable",
            f"The key file {path} cannot be read.",
            "Check youtube.client_secret_file and the rights of the file.",
        ) from error
