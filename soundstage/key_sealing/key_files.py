"""Private key files of one folder, encrypted at rest where the settings say so (envelope encryption).

`sealing.json` holds a data key of the folder, wrapped by a `KeySealer`; each file is AES-256-GCM under that
data key, bound to its name. So a change of the sealing writes `sealing.json` alone.
"""

from __future__ import annotations

import json
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from soundstage.errors import Unavailable
from soundstage.key_sealing.sealers import KeySealer, sealer_of
from soundstage.private_files import read_or_create
from soundstage.settings.sealing import SealingSettings

HEADER = "sealing.json"
MAGIC = b"soundstage-sealed-1\n"
PROOF = b"soundstage"
NONCE_BYTES = 12
UNSEALED = SealingSettings()


class KeyFiles:
    """Reads and creates private key files. A file from before sealing is read as it is."""

    def __init__(self, folder: Path, sealing: SealingSettings = UNSEALED) -> None:
        self.folder = folder
        self._sealing = sealing

    @property
    def header(self) -> Path:
        return self.folder / HEADER

    def read_or_create(self, name: str, make: Callable[[], bytes], *, folder_mode: int = 0o777) -> bytes:
        """Returns the key; `make` creates it when it is missing. Raises OSError, and `sealing.*`."""

        def make_sealed() -> bytes:
            return self.encrypt(name, make())

        return self.decrypt(name, read_or_create(self.folder / name, make_sealed, folder_mode=folder_mode))

    def read(self, name: str) -> bytes:
        """Returns the key. Raises OSError where there is none, and `sealing.*`."""
        return self.decrypt(name, (self.folder / name).read_bytes())

    def check(self) -> None:
        """Opens the data key where there is one. Raises `sealing.*`."""
        if self.header.exists():
            self._data_key()

    def encrypt(self, name: str, content: bytes) -> bytes:
        """Returns what to write to the file; as it is where nothing seals."""
        if self._sealing.method == "none" and not self.header.exists():
            return content
        nonce = secrets.token_bytes(NONCE_BYTES)
        return MAGIC + nonce + AESGCM(self._data_key()).encrypt(nonce, content, name.encode())

    def decrypt(self, name: str, content: bytes) -> bytes:
        """Returns the key in what a file holds. Raises `sealing.damaged`."""
        if not content.startswith(MAGIC):
            return content
        start = len(MAGIC) + NONCE_BYTES
        nonce, encrypted = content[len(MAGIC) : start], content[start:]
        if not self.header.exists():
            raise self._damaged(name, f"{HEADER} beside it is missing")
        try:
            return AESGCM(self._data_key()).decrypt(nonce, encrypted, name.encode())
        except (InvalidTag, ValueError) as error:
            raise self._damaged(name, f"it was not sealed by {HEADER} beside it") from error

    def _data_key(self) -> bytes:
        sealer = sealer_of(self._sealing)
        if not self.header.exists():
            if sealer is None:
                raise not_set(self.header, "something")
            header = new_header(self._sealing.method, sealer, secrets.token_bytes(32))
            read_or_create(self.header, lambda: header, folder_mode=0o700)
        return open_header(self.header, self._sealing)

    def _damaged(self, name: str, why: str) -> Unavailable:
        return Unavailable(
            "sealing.damaged",
            f"The key file {self.folder / name} cannot be opened: {why}.",
            "Restore the whole folder from one backup: its files belong together.",
        )


def new_header(method: str, sealer: KeySealer, key: bytes) -> bytes:
    """Returns the content of `sealing.json`. Wraps, and unwraps for a proof. Raises `sealing.*`."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    wrapped = sealer.wrap(key)
    if sealer.unwrap(wrapped) != key:
        raise Unavailable(
            "sealing.one_way",
            f"What was sealed does not open again with {sealer.opens_with}.",
            "Check that both commands, or the key on the token, belong together. Nothing was changed.",
        )
    content = {
        "method": method,
        "opens_with": sealer.opens_with,
        "wrapped_key": b64encode(wrapped).decode(),
        # Some services return another key instead of an error.
        "proof": b64encode(nonce + AESGCM(key).encrypt(nonce, PROOF, None)).decode(),
    }
    return json.dumps(content, indent=1).encode() + b"\n"


def read_header(path: Path) -> dict[str, str]:
    """Returns how a folder is sealed, or {} where it is not. Raises `sealing.bad_header`."""
    try:
        content = json.loads(path.read_bytes())
        return {name: str(content[name]) for name in ("method", "opens_with", "wrapped_key", "proof")}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            "sealing.bad_header",
            f"{path} cannot be read.",
            "Restore the whole folder from one backup: without this file its keys are lost.",
        ) from error


def open_header(path: Path, sealing: SealingSettings) -> bytes:
    """Returns the data key. Raises `sealing.*`."""
    header = read_header(path)
    sealer = sealer_of(sealing)
    if sealer is None or sealing.method != header["method"]:
        raise not_set(path, header["opens_with"])
    return _unwrap(sealing, path, header["wrapped_key"], header["proof"])


@lru_cache(maxsize=16)
def _unwrap(sealing: SealingSettings, path: Path, wrapped: str, proof: str) -> bytes:
    """Opens each data key once in a process: a token or a service need not answer later."""
    sealer = sealer_of(sealing)
    if sealer is None:
        raise not_set(path, "something")
    try:
        key, sealed = sealer.unwrap(b64decode(wrapped)), b64decode(proof)
        AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
    except (InvalidTag, ValueError) as error:
        raise Unavailable(
            "sealing.wrong_key",
            f"{path} does not open with {sealer.opens_with}: it gave another key.",
            "Use the key that sealed them. Nothing was changed.",
        ) from error
    return key


def not_set(path: Path, opens_with: str) -> Unavailable:
    return Unavailable(
        "sealing.other_method",
        f"The private keys in {path.parent} open with {opens_with}, which is not what the settings name.",
        "Set `sealing.method` back, or run `soundstage seal --old-settings FILE` with the old section.",
    )


def write_replacing(path: Path, content: bytes) -> None:
    """Replaces a file in one step, for its owner only. Raises OSError."""
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
