"""The state of an installation between two runs, and the metrics that a monitoring server reads.

Nothing secret is in it: the recipient is the public half of the recovery key.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STATE = "state.json"
RECIPIENT = "recipient"
SECRETS = "farm-secrets.age"

_METRICS = {
    "soundstage_backup_last_success_timestamp_seconds": "When the newest copy was made and stored.",
    "soundstage_backup_last_failure_timestamp_seconds": "When a copy last failed.",
    "soundstage_backup_last_verified_timestamp_seconds": "When a copy was last restored for a test.",
    "soundstage_backup_size_bytes": "What the newest copy holds.",
    "soundstage_backup_added_bytes": "What the newest copy had to send; the repository had the rest.",
    "soundstage_backup_copies": "Copies of this machine in the repository.",
    "soundstage_backup_off_machine": "1 when the repository lies outside of this machine.",
    "soundstage_backup_recovery_key": "1 when a recovery key exists.",
}


@dataclass(slots=True)
class Memory:
    """`follows`: the installation whose copies this one goes on with. Times are seconds since 1970, 0 for
    never.
    """

    folder: Path
    installation: str = field(default_factory=lambda: secrets.token_hex(8))
    follows: str = ""
    created_s: float = 0.0
    success_s: float = 0.0
    failure_s: float = 0.0
    verified_s: float = 0.0
    verify_problem: str = ""
    key_created_s: float = 0.0
    key_proven_s: float = 0.0
    recipient: str = ""
    size_bytes: int = 0
    added_bytes: int = 0
    copies: int = 0

    @classmethod
    def recall(cls, config: Mapping[str, Any], now_s: float) -> Memory:
        """Returns what is remembered; a new installation when there is nothing."""
        folder = Path(config["state_folder"])
        try:
            return cls(folder, **json.loads((folder / STATE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls(folder, created_s=now_s)

    def store(self, config: Mapping[str, Any], *, off_machine: bool) -> None:
        """Writes it down, with the public recipient and the metrics beside it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = asdict(self)
        del known["folder"]
        write_whole(self.folder / STATE, json.dumps(known, indent=1).encode() + b"\n", 0o600)
        if self.recipient:
            write_whole(self.folder / RECIPIENT, f"{self.recipient}\n".encode(), 0o644)
        if file := config.get("metrics_file"):
            values = {
                "last_success_timestamp_seconds": self.success_s,
                "last_failure_timestamp_seconds": self.failure_s,
                "last_verified_timestamp_seconds": self.verified_s,
                "size_bytes": self.size_bytes,
                "added_bytes": self.added_bytes,
                "copies": self.copies,
                "off_machine": int(off_machine),
                "recovery_key": int(bool(self.recipient)),
            }
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            write_whole(Path(file), _exposition(values).encode(), 0o644)


def write_whole(file: Path, content: bytes, mode: int) -> None:
    """Replaces a file: a reader sees the old one or the new one."""
    staging = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    staging.chmod(mode)
    staging.replace(file)


def _exposition(values: Mapping[str, float]) -> str:
    lines = []
    for name, help_text in _METRICS.items():
        value = values[name.removeprefix("soundstage_backup_")]
        lines += [f"# HELP {name} {help_text}", f"# TYPE {name} gauge", f"{name} {value:.15g}"]
    return "\n".join(lines) + "\n"
