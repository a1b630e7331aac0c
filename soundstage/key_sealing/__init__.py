"""Private keys encrypted at rest: by a passphrase, a command or a PKCS#11 token."""

from soundstage.key_sealing.key_files import HEADER, UNSEALED, KeyFiles
from soundstage.key_sealing.private_keys import PRIVATE_KEYS, check_keys, inspect_keys, seal_keys
from soundstage.settings.sealing import SealingSettings

__all__ = [
    "HEADER",
    "PRIVATE_KEYS",
    "UNSEALED",
    "KeyFiles",
    "SealingSettings",
    "check_keys",
    "inspect_keys",
    "seal_keys",
]
