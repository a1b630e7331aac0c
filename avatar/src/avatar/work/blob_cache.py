"""The inputs of a node's tasks: each blob once, in a folder that all its workers may share, and never used
when its content is not that of its hash. Called by `avatar work`.

Several workers come and go, some by kill -9. What one of them uses is held by a shared lock on the open file,
which the kernel lets go of with the process: only blobs without a lock are ever removed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from avatar.errors import InvalidInput, Unavailable
from avatar.work.control import Control

FETCH_TRIES = 3
RETENTION_S = 7 * 24 * 3600.0
"""What no task has used for so long goes: pictures of people shall not lie about for ever."""
STALE_PART_S = 24 * 3600.0
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


class BlobCache:
    """`folder/ab/abcdef…`, as the worker's `--blobs` wants it. `limit_bytes` bounds what is kept for later
    tasks; what running tasks use stays in any case.
    """

    def __init__(self, folder: Path, control: Control, *, timeout_s: float, limit_bytes: int) -> None:
        self.folder = folder
        self._control = control
        self._timeout_s = timeout_s
        self._limit_bytes = limit_bytes
        self._held: list[BinaryIO] = []
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def close(self) -> None:
        """Lets go of what was obtained; from now on it may be removed."""
        while self._held:
            self._held.pop().close()

    def obtain(self, sha256: str, size: int) -> Path:
        """The path of a whole and checked blob, which stays there until `close`. A damaged copy is fetched
        anew.
        """
        if _HASH.fullmatch(sha256) is None:
            raise InvalidInput("work.bad_order", "The order names a file by no hash.", "Update the worker.")
        digits = sha256.removeprefix("sha256:")
        path = self.folder / digits[:2] / digits
        if self._hold(path, sha256, size):
            return path
        path.parent.mkdir(exist_ok=True)
        for _ in range(FETCH_TRIES):
            if self._fetch_with_room(sha256, path) and self._hold(path, sha256, size):
                return path
        raise Unavailable(
            "work.blob_damaged",
            f"The file {sha256} came with other content {FETCH_TRIES} times.",
            "The control plane's copy is damaged: upload the file again.",
        )

    def prune(self, limit_bytes: int | None = None) -> int:
        """Removes what was used longest ago until no more than the limit is left; returns the bytes freed."""
        limit = self._limit_bytes if limit_bytes is None else limit_bytes
        found = sorted(self._files(), key=lambda one: one[1].st_mtime)
        total = sum(stat.st_size for _, stat in found)
        freed, now = 0, time.time()
        for path, stat in found:
            part = path.suffix == ".part"
            old = now - stat.st_mtime > (STALE_PART_S if part else RETENTION_S)
            if (old or (total - freed > limit and not part)) and _removed(path):
                freed += stat.st_size
        return freed

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self.folder.glob("??/*"):
            with suppress(FileNotFoundError):  # another worker has just removed it
                yield path, path.stat()

    def _hold(self, path: Path, sha256: str, size: int) -> bool:
        """Returns whether it is there, whole and ours to use until `close`."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return False
        fcntl.flock(file, fcntl.LOCK_SH)
        if (
            _still_there(path, file)
            and os.fstat(file.fileno()).st_size == size
            and f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == sha256
        ):
            os.utime(file.fileno())
            self._held.append(file)
            return True
        file.close()
        return False

    def _fetch_with_room(self, sha256: str, path: Path) -> bool:
        """On a full disk what no task uses makes room, once."""
        try:
            return self._control.retry(lambda: self._fetch(sha256, path), self._timeout_s)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self.prune(0):
                raise
        return self._control.retry(lambda: self._fetch(sha256, path), self._timeout_s)

    def _fetch(self, sha256: str, path: Path) -> bool:
        """Several tasks may fetch the same blob: each into a file of its own, and the rename is atomic."""
        part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
        digest = hashlib.sha256()
        try:
            with part.open("wb") as file:

                def write(chunk: bytes) -> None:
                    digest.update(chunk)
                    file.write(chunk)

                self._control.fetch(sha256, write)
            if f"sha256:{digest.hexdigest()}" != sha256:
                return False
            part.replace(path)
            return True
        finally:
            part.unlink(missing_ok=True)


def _still_there(path: Path, file: BinaryIO) -> bool:
    """Returns whether the path still names the open file: it may have been removed before we held it."""
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False


def _removed(path: Path) -> bool:
    """False when a worker holds it."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (FileNotFoundError, BlockingIOError):
        return False
    return True
