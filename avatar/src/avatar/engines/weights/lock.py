"""The pinned SHA-256 of the operator's weights, in a file beside them."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from avatar.errors import InvalidInput

LOCK_FILE = "models.lock.json"
_BLOCK_BYTES = 1 << 20


class Pin(BaseModel):
    """The state of a file when it was added."""

    model_config = ConfigDict(frozen=True)

    role: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int
    added_at: str


class Pins(BaseModel):
    """By path below the models folder."""

    version: int = 1
    files: dict[str, Pin] = Field(default_factory=dict)


def read_pins(folder: Path) -> Pins:
    """No pins where there is no lock file. Raises InvalidInput `weights.lock_damaged`."""
    path = folder / LOCK_FILE
    try:
        return Pins.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Pins()
    except (ValidationError, OSError) as error:
        raise InvalidInput(
            "weights.lock_damaged",
            f"{path} cannot be read: {type(error).__name__}.",
            "Remove it and add the weights anew, after comparing them with their pages.",
        ) from error


@contextmanager
def edit_pins(folder: Path) -> Iterator[Pins]:
    """The pins to change; written at the end, whole or not at all, one writer at a time."""
    with (folder / f".{LOCK_FILE}").open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        pins = read_pins(folder)
        yield pins
        staged = folder / f"{LOCK_FILE}.part"
        staged.write_text(json.dumps(pins.model_dump(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        staged.replace(folder / LOCK_FILE)


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
