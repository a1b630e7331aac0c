"""Files that appear whole or not at all; every writer of the worker goes through here."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from avatar.errors import AvatarError, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_error(error: OSError, target: Path) -> AvatarError:
    """The error to show for a failed write of `target`."""
    if error.errno in _FULL:
        return Unavailable(
            "render.disk_full",
            f"The disk is full: {target.name} could not be written to {target.parent}.",
            "Free some space (or raise the quota) and start again; nothing partial was left behind.",
        )
    return Unavailable(
        "render.write_failed",
        f"{target.name} could not be written to {target.parent}: {error.strerror or error}.",
        "Check that the folder exists and may be written to.",
    )


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yields a path beside `target`; it takes the target's place when the block ends well, and is removed otherwise.

    The data is on the disk before the name changes, so a crash leaves the old file or the new one, never half of one.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield part
        _sync(part)
        part.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise write_error(error, target) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yields a working folder beside `folder`; when the block ends well, the files `names` move into `folder`.

    They appear in that order, so whoever finds the last one finds all. Everything else in the working folder is gone
    afterwards, whatever happened.
    """
    work = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    moved: list[Path] = []
    try:
        work.mkdir(parents=True)
        yield work
        for name in names:
            _sync(work / name)
        folder.mkdir(exist_ok=True)
        for name in names:
            (work / name).replace(folder / name)
            moved.append(folder / name)
        _sync(folder)
    except OSError as error:
        for path in moved:
            path.unlink(missing_ok=True)
        raise write_error(error, folder) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_bytes(target: Path, data: bytes) -> None:
    """A small file, whole or not at all."""
    with atomic_file(target) as part:
        part.write_bytes(data)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
