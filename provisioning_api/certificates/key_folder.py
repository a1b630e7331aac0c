"""The private keys of this installation, one file each, created when they are first needed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from soundstage.errors import Unavailable
from soundstage.key_sealing import UNSEALED, KeyFiles, SealingSettings
from soundstage.private_files import read_or_create

HINT = "Check that `state_dir` belongs to the user who runs soundstage, and restore the file from a backup."


class KeyFolder:
    """`state_dir/provisioning/keys`, readable by its owner only. Losing it means enrolling every machine
    anew.
    """

    def __init__(self, folder: Path, sealing: SealingSettings = UNSEALED) -> None:
        self._folder = folder
        self._files = KeyFiles(folder, sealing)

    def ed25519(self, name: str) -> Ed25519PrivateKey:
        """Returns the Ed25519 key of that name; creates it when it is missing."""
        key = self._key(name, lambda: pem_of(Ed25519PrivateKey.generate()))
        if not isinstance(key, Ed25519PrivateKey):
            raise self._broken(name, "it is no Ed25519 key")
        return key

    def p256(self, name: str) -> ec.EllipticCurvePrivateKey:
        """Returns the P-256 key of that name, which TLS libraries of every age can verify."""
        key = self._key(name, lambda: pem_of(ec.generate_private_key(ec.SECP256R1())))
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise self._broken(name, "it is no P-256 key")
        return key

    def secret(self, name: str) -> bytes:
        """Returns 32 random bytes, the same at every call."""
        return self._private(name, lambda: secrets.token_bytes(32))

    def public(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Returns what a file holds that is no secret; `make` creates it when it is missing. Two callers at
        once agree on one.
        """
        try:
            return read_or_create(self._folder / name, make, folder_mode=0o700)
        except OSError as error:
            raise self._broken(name, str(error.strerror)) from error

    def _private(self, name: str, make: Callable[[], bytes]) -> bytes:
        try:
            return self._files.read_or_create(name, make, folder_mode=0o700)
        except OSError as error:
            raise self._broken(name, str(error.strerror)) from error

    def _key(self, name: str, make: Callable[[], bytes]) -> object:
        try:
            return serialization.load_pem_private_key(self._private(name, make), password=None)
        except ValueError as error:
            raise self._broken(name, "it holds no key") from error

    def _broken(self, name: str, why: str) -> Unavailable:
        return Unavailable(
            "keys.unusable", f"The key file {self._folder / name} cannot be used: {why}.", HINT
        )


def pem_of(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """Returns PKCS #8 without a password: the mode of the file protects it, or its sealing."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
