"""The recovery key: an age identity that the operator keeps elsewhere. It opens the repository as a second
password, and what the controller has sealed to its public half: the secrets folder of the farm.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from backup_error import BackupError

WITHOUT_IT = (
    "Without it, and without the secrets folder on the controller, nobody opens the copies: conversations,"
    " machines, personas, videos and the authorities of the farm are lost with this machine."
)


def new_key() -> tuple[str, str]:
    """Returns a new identity and its public recipient."""
    output = _age("age-keygen", [])
    identity = next(line for line in output.decode().splitlines() if line.startswith("AGE-SECRET-KEY-"))
    return identity, recipient_of(identity)


def read_key(file: Path) -> str:
    """Returns the identity in a file, or of standard input. Raises BackupError when it is none."""
    text = file.read_text(encoding="utf-8", errors="replace")
    found = [line.strip() for line in text.splitlines() if line.startswith("AGE-SECRET-KEY-")]
    if len(found) != 1:
        raise BackupError(
            "backup.no_key",
            f"{file} holds no recovery key.",
            "It is one line that begins with AGE-SECRET-KEY-, as `soundstage-backup key` printed it.",
        )
    return found[0]


def recipient_of(identity: str) -> str:
    """Returns the public half."""
    return _age("age-keygen", ["-y"], identity.encode()).decode().strip()


def open_sealed(sealed: bytes, identity_file: Path) -> tarfile.TarFile:
    """Returns the secrets folder of the farm as the controller sealed it."""
    content = _age("age", ["--decrypt", "--identity", str(identity_file)], sealed)
    return tarfile.open(fileobj=io.BytesIO(content))


def _age(program: str, arguments: list[str], stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run([program, *arguments], input=stdin, capture_output=True, check=False)
    except FileNotFoundError:
        raise BackupError("backup.no_age", "The program age is not installed.", "apt install age") from None
    if done.returncode != 0:
        detail = done.stderr.decode(errors="replace").strip().splitlines()[:1] or ["it fails"]
        raise BackupError("backup.wrong_key", f"age: {detail[0]}", "Look whether it is the key of this farm.")
    return done.stdout
