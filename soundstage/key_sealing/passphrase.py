"""Encrypts the data key with a passphrase: scrypt (RFC 7914) and AES-256-GCM."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from soundstage.errors import Unavailable

CREDENTIAL = "soundstage-passphrase"
SALT_BYTES = NONCE_BYTES = 16
# 128 MiB and about half a second for each guess (RFC 7914; OWASP password storage).
COST_BITS, BLOCK_SIZE, PARALLELISM = 17, 8, 1
MAX_COST_BITS = 22


class PassphraseSealer:
    """Reads the passphrase from a file at each use; keeps it nowhere."""

    def __init__(self, path: Path | None) -> None:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        self._path = path or (Path(folder) / CREDENTIAL if folder else None)

    @property
    def opens_with(self) -> str:
        if self._path is None or self._path.is_relative_to("/proc"):
            return "a passphrase"
        return f"the passphrase in {self._path}"

    def wrap(self, key: bytes) -> bytes:
        salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
        derived = self._derive(salt, COST_BITS)
        return bytes([COST_BITS]) + salt + nonce + AESGCM(derived).encrypt(nonce, key, None)

    def unwrap(self, wrapped: bytes) -> bytes:
        cost_bits, rest = wrapped[0], wrapped[1:]
        salt, nonce = rest[:SALT_BYTES], rest[SALT_BYTES : SALT_BYTES + NONCE_BYTES]
        try:
            # A changed file must not take all memory.
            derived = self._derive(salt, min(cost_bits, MAX_COST_BITS))
            return AESGCM(derived).decrypt(nonce, rest[SALT_BYTES + NONCE_BYTES :], None)
        except (InvalidTag, ValueError) as error:
            raise Unavailable(
                "sealing.wrong_passphrase",
                f"The private keys do not open with {self.opens_with}.",
                "Check `sealing.passphrase_file`. Nothing was changed; without the right passphrase, restore "
                "the keys from a backup that is not sealed.",
            ) from error

    def _derive(self, salt: bytes, cost_bits: int) -> bytes:
        scrypt = Scrypt(salt=salt, length=32, n=1 << cost_bits, r=BLOCK_SIZE, p=PARALLELISM)
        return scrypt.derive(self._passphrase())

    def _passphrase(self) -> bytes:
        try:
            # A newline at the end is the editor's.
            found = self._path.read_bytes().rstrip(b"\r\n") if self._path else b""
        except OSError as error:
            raise _missing(f"{self._path} cannot be read: {error.strerror}") from error
        if not found:
            raise _missing(f"{self._path} is empty" if self._path else "there is none")
        return found


def _missing(why: str) -> Unavailable:
    return Unavailable(
        "sealing.no_passphrase",
        f"The private keys are sealed by a passphrase, and {why}.",
        f"Set `sealing.passphrase_file`, load systemd's credential `{CREDENTIAL}`, or start in a terminal.",
    )
