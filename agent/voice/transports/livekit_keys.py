"""The API key and secret that our server, voice workers' tokens and a LiveKit server share."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from soundstage.errors import Invalid
from soundstage.private_files import write_anew
from soundstage.sealing import Sealer
from soundstage.settings.conversation import LiveKitSettings

SEALED_FILE = "livekit.sealed"
MIN_SECRET = 32
"""LiveKit refuses shorter secrets."""


@dataclass(frozen=True, slots=True)
class LiveKitKeys:
    api_key: str
    secret: str

    @property
    def file(self) -> str:
        """Returns the content of a key file of LiveKit (`livekit-server --key-file`)."""
        return f"{self.api_key}: {self.secret}\n"

    def __repr__(self) -> str:
        return f"LiveKitKeys({self.api_key})"


def read_keys(settings: LiveKitSettings, sealer: Sealer, state_dir: Path) -> LiveKitKeys | None:
    """Returns the keys of `voice.livekit.key_file`, or those of the state folder; None where there are none.

    Raises `voice.bad_livekit_keys`, `settings.key_file_unreadable`, `seal.…`.
    """
    if settings.key_file is not None:
        api_key, _, secret = (settings.key() or "").partition(":")
        if not api_key.strip() or len(secret.strip()) < MIN_SECRET:
            raise Invalid(
                "voice.bad_livekit_keys",
                f"The file {settings.key_file} holds no API key and secret of LiveKit.",
                "It is one line, `KEY: SECRET`; the secret has at least 32 characters.",
            )
        return LiveKitKeys(api_key.strip(), secret.strip())
    sealed = state_dir / SEALED_FILE
    if not sealed.exists():
        return None
    return LiveKitKeys(**json.loads(sealer.unseal(sealed.read_text(encoding="utf-8"))))


def create_keys(sealer: Sealer, state_dir: Path) -> LiveKitKeys:
    """Creates keys and stores them sealed in the state folder; earlier ones end."""
    keys = LiveKitKeys(f"API{secrets.token_hex(6)}", secrets.token_urlsafe(36))
    content = json.dumps({"api_key": keys.api_key, "secret": keys.secret})
    state_dir.mkdir(parents=True, exist_ok=True)
    write_anew(state_dir / SEALED_FILE, sealer.seal(content).encode())
    return keys


def ensure_keys(settings: LiveKitSettings, sealer: Sealer, state_dir: Path) -> LiveKitKeys:
    """Returns the keys; creates them in the state folder where there are none."""
    return read_keys(settings, sealer, state_dir) or create_keys(sealer, state_dir)
