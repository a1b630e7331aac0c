"""Private keys encrypted at rest: by a passphrase, a command or a PKCS#11 token."""

from soundstage.key_sealing.key_files import HEADER, UNSEALED, KeyFiles
from soundstage.key_sealing.private_keys import PRIVATE_KEYS, SealedKeys, check_keys, inspect_keys, seal_keys
from soundstage.key_sealing.sealers import KeySealer, sealer_of
from soundstage.settings.sealing import SealingSettings

__all__ = [
    "HEADER",
    "PRIVATE_KEYS",
    "UNSEALED",
    "KeyFiles",
    "KeySealer",
    "SealedKeys",
    "SealingSettings",
    "check_keys",
    "inspect_keys",
    "seal_keys",
    "sealer_of",
]
