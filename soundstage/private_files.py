"""Files that only their owner may read: keys, secrets, what a program of ours is given to start with."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

OWNER_ONLY = 0o600


def read_or_create(path: Path, make: Callable[[], bytes], *, folder_mode: int = 0o777) -> bytes:
    """Returns what the file holds; `make` gives it when there is none. Whole or not at all, and processes
    that make it at once agree on one. Raises `OSError`.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode)
        half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            _create(half, make(), OWNER_ONLY, lasting=True)
            with suppress(FileExistsError):
                # Never over a file that another process has just made: `link` refuses that.
                os.link(half, path)
        finally:
            half.unlink(missing_ok=True)
    return path.read_bytes()


def write_anew(path: Path, content: bytes, mode: int = OWNER_ONLY) -> None:
    """Puts a new file in the place of what is there: never open to others, not even for a moment. Raises
    `OSError`.
    """
    path.unlink(missing_ok=True)
    _create(path, content, mode, lasting=False)


def replace_file(path: Path, content: bytes, mode: int = OWNER_ONLY) -> None:
    """Puts a file in the place of what is there, once it is on the disk: a reader sees the old one or the new
    one. Raises `OSError`.
    """
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _create(half, content, mode, lasting=True)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def sync_path(path: Path) -> None:
    """Makes the content of a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: Path, content: bytes, mode: int, *, lasting: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if lasting:
            file.flush()
            os.fsync(file.fileno())
