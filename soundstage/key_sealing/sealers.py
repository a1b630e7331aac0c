"""The port `KeySealer`, and the choice of its implementation by the settings."""

from __future__ import annotations

from typing import Protocol

from soundstage.settings.sealing import SealingSettings


class KeySealer(Protocol):
    """Encrypts a data key of 32 bytes with something that is not in the key folder."""

    @property
    def opens_with(self) -> str:
        """Names what opens the keys, without a secret, e.g. `the passphrase in /etc/passphrase`."""

    def wrap(self, key: bytes) -> bytes:
        """Returns the encrypted key. Raises SoundstageError."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """Returns the key. Raises SoundstageError."""


def sealer_of(settings: SealingSettings) -> KeySealer | None:
    """Returns None where keys are not sealed. Loads no library of another method."""
    if settings.method == "passphrase":
        from soundstage.key_sealing.passphrase import PassphraseSealer

        return PassphraseSealer(settings.passphrase_file)
    if settings.method == "command":
        from soundstage.key_sealing.command import CommandSealer

        return CommandSealer(settings.wrap_command, settings.unwrap_command, settings.command_timeout_s)
    if settings.method == "pkcs11":
        from soundstage.key_sealing.pkcs11_token import Pkcs11Sealer

        return Pkcs11Sealer(
            settings.pkcs11_library, settings.pkcs11_token, settings.pkcs11_key, settings.pkcs11_pin_file
        )
    return None
