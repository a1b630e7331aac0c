"""Spools incoming bytes into a private file, hashing as they come; `BlobStore` moves it into place."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from soundstage.errors import NotFound, SoundstageError, StorageFull, TooLarge, Unavailable

COPY_BYTES = 1 << 20
RESERVE_BYTES = 256 << 20
"""Uploads leave so much of a disk free: the database and renders that are under way write to it, too."""


class StagedFile:
    """A file that is being written: hash and size so far. Blocking; the store calls it in threads."""

    def __init__(self, path: Path, file: FileIO, max_bytes: int | None) -> None:
        self.path = path
        self.bytes = 0
        self._file = file
        self._hash = hashlib.sha256()
        self._max_bytes = max_bytes

    def write(self, chunk: bytes | memoryview) -> None:
        """Raises TooLarge when `max_bytes` is passed, StorageFull when the disk is."""
        self.bytes += len(chunk)
        if self._max_bytes is not None and self.bytes > self._max_bytes:
            raise TooLarge(
                "blob.too_large",
                f"The file is larger than {self._max_bytes / (1 << 20):.0f} MiB.",
                "Make it smaller, or raise `limits.upload_mib`.",
            )
        self._hash.update(chunk)
        rest = memoryview(chunk)
        with disk_errors(self.path.parent):
            while rest:
                # An unbuffered write may take only a part, for example the last bytes that fit on the disk.
                rest = rest[self._file.write(rest) :]

    def copy_from(self, source: Path) -> None:
        """Takes in a whole file, one megabyte at a time."""
        try:
            file = source.open("rb", buffering=0)
        except OSError as error:
            raise NotFound(
                "blob.source_unreadable",
                f"The file {source.name} cannot be read: {error.strerror}.",
                "Check the path and the rights of the file.",
            ) from error
        with file:
            while chunk := file.read(COPY_BYTES):
                self.write(chunk)

    def finish(self) -> str:
        """Flushes to the disk itself and gives the 64 hex digits."""
        with disk_errors(self.path.parent):
            self._file.flush()
            os.fsync(self._file.fileno())
        return self._hash.hexdigest()


@contextmanager
def create_staged_file(folder: Path, max_bytes: int | None = None) -> Iterator[StagedFile]:
    """A private file in `folder`, locked while in use and gone afterwards unless it was moved away."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path, file = _create_locked(folder)
    try:
        yield StagedFile(path, file, max_bytes)
    finally:
        # Unbuffered, so that closing has nothing left to write and cannot fail on a full disk.
        file.close()
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> int:
    """Removes files of killed processes (their lock is free); returns the number."""
    removed = 0
    for path in folder.glob("*.part") if folder.is_dir() else ():
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed += 1
    return removed


@contextmanager
def lock_store(folder: Path) -> Iterator[None]:
    """Holds the one lock of a store, against other processes too, while names appear and vanish."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check_disk(folder: Path, more: int) -> None:
    """Raises StorageFull when so many bytes more would leave less than `RESERVE_BYTES` of the disk free."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if more > free - RESERVE_BYTES:
        raise StorageFull(
            "blobs.disk_full",
            f"{more / (1 << 20):.1f} MiB do not fit: the disk that holds {folder} has"
            f" {free / (1 << 20):.0f} MiB free, and {RESERVE_BYTES >> 20} MiB stay free.",
            "Free some space; `soundstage gc` removes files that nothing refers to.",
        )


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns what the operating system says while writing under `folder` into errors with a code."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, folder) from error


def disk_error(error: OSError, folder: Path) -> SoundstageError:
    """The error with a code for a failed write under `folder`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(
            "blobs.disk_full",
            f"The disk that holds {folder} is full.",
            "Free some space; `soundstage gc` removes files that nothing refers to.",
        )
    if error.errno == errno.EFBIG:
        return StorageFull(
            "blobs.file_limit",
            f"The system allows no file of this size under {folder}.",
            "Raise the file size limit (`ulimit -f`) or use another file system.",
        )
    return Unavailable(
        "blobs.unwritable",
        f"Files cannot be stored under {folder}: {error.strerror or error}.",
        "Check that the folder exists and belongs to the user who runs soundstage.",
    )


def _create_locked(folder: Path) -> tuple[Path, FileIO]:
    while True:
        path = folder / f"{secrets.token_hex(16)}.part"
        file = path.open("xb", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
        # A sweeper may have come between the two lines above and taken the file for a leftover.
        if os.fstat(file.fileno()).st_nlink:
            return path, file
        file.close()
