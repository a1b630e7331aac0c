"""The section of sealing: what encrypts the private keys in `state_dir`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from soundstage.settings.secrets import SECRET
from soundstage.settings.sections import CommaList, Section


class SealingSettings(Section):
    """Encryption of the private keys at rest: by nothing, a passphrase, a command or a PKCS#11 token."""

    method: Literal["none", "passphrase", "command", "pkcs11"] = Field(
        "none", description="what opens the private keys in `state_dir`; `soundstage seal` applies a change"
    )
    passphrase_file: Path | None = Field(
        None,
        description="file with the passphrase; empty: systemd's credential `soundstage-passphrase`, or a "
        "prompt of `soundstage up` and `soundstage seal`",
    )
    wrap_command: CommaList = Field(
        (),
        description="program and arguments, by commas: reads a key in base64, writes it encrypted",
        json_schema_extra=SECRET,
    )
    unwrap_command: CommaList = Field(
        (),
        description="the same for the way back: reads what `wrap_command` wrote, writes the key in base64",
        json_schema_extra=SECRET,
    )
    command_timeout_s: float = Field(30.0, gt=0, le=600, description="a command that takes longer is ended")
    pkcs11_library: Path | None = Field(
        None, description="PKCS#11 library of the token, e.g. `/usr/lib/softhsm/libsofthsm2.so`"
    )
    pkcs11_token: str = Field("", description="label of the token")
    pkcs11_key: str = Field(
        "soundstage", description="label of the AES key on the token; created when it is missing"
    )
    pkcs11_pin_file: Path | None = Field(None, description="file with the PIN of the token's user")
