"""The last member of an archive: what must be in it. An archive without one was cut off and is refused."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, Field

MANIFEST = "manifest.json"
DATABASE = "database.sqlite"
PROVISIONING = "provisioning.sqlite"
KEYS = "keys"
FORMAT = 2
READABLE = (1, FORMAT)
"""Format 1 knew neither machines nor keys."""

SEALED_SECRETS = "Soundstage-Sealed-Secrets"
"""How many tokens and secrets of a backup only the key file opens that is not in it."""
SEALED_MACHINE_SECRETS = "Soundstage-Sealed-Machine-Secrets"
"""The same of machines: secrets of announcements and of BMCs, which the provisioning keys open."""

_MEMBER = re.compile(
    r"database\.sqlite|provisioning\.sqlite|blobs/[0-9a-f]{2}/[0-9a-f]{64}"
    r"|personas/([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/)?[A-Za-z0-9._-]{1,100}\.(ya?ml|dossier\.json)"
    r"|keys/(studio|provisioning)/[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
)


class Member(BaseModel, extra="forbid", frozen=True):
    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Manifest(BaseModel, extra="forbid", frozen=True):
    format: int = FORMAT
    made_by: str
    made_at: datetime
    revision: str | None = Field(description="of the database; newer ones are migrated after a restore")
    members: tuple[Member, ...]


def is_known_member(path: str) -> bool:
    """Only these names are ever unpacked, so that an archive cannot write anywhere else."""
    return _MEMBER.fullmatch(path) is not None


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
