"""Encrypts what must be kept and never be read by a stranger: tokens, signing secrets, upload addresses."""

from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from soundstage.errors import Unavailable
from soundstage.key_sealing import UNSEALED, KeyFiles, SealingSettings

KEY_FILE = "seal.key"
HINT = "Restore the file from a backup, or connect the accounts and make the webhooks anew."


class Sealer:
    """Fernet (AES-128-CBC and HMAC-SHA-256) under the key in `state_dir/seal.key`, which is made when it is
    first needed and read by its owner only. A copy of the database alone opens nothing.
    """

    def __init__(self, state_dir: Path, sealing: SealingSettings = UNSEALED) -> None:
        self._files = KeyFiles(state_dir, sealing)
        self._path = state_dir / KEY_FILE
        self._fernet: Fernet | None = None

    def make_key(self) -> None:
        """Makes the key unless there is one. Raises `seal.no_key`."""
        self._opened(make=True)

    def seal(self, text: str) -> str:
        return self._opened(make=True).encrypt(text.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """Raises `seal.broken` when it was sealed under another key."""
        try:
            return self._opened(make=False).decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise Unavailable(
                "seal.broken", f"This was not sealed with the key in {self._path}.", HINT
            ) from error

    def _opened(self, *, make: bool) -> Fernet:
        if self._fernet is None:
            self._fernet = _fernet_of(self._files, self._path, make=make)
        return self._fernet


def _fernet_of(files: KeyFiles, path: Path, *, make: bool) -> Fernet:
    try:
        key = files.read_or_create(KEY_FILE, Fernet.generate_key) if make else files.read(KEY_FILE)
        return Fernet(key.strip())
    except (OSError, ValueError) as error:
        raise Unavailable("seal.no_key", f"The key file {path} cannot be used: {error}.", HINT) from error
