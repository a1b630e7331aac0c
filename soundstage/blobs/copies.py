"""Local copies of what lies in a bucket: kept while they are of use, within a size; used by `BlobStore`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from soundstage.blobs.schemas import is_key, key_of
from soundstage.blobs.staging import disk_errors, lock_store

# A copy that was asked for is spared this long: a worker may be about to read it, and is told only its path.
SPARE_S = 6 * 3600.0
# Looking through all copies is put off until this part of the limit has come in.
SLACK = 1 / 16


class Copies:
    """Files under their key below a folder. Blocking; the store calls it in threads."""

    def __init__(self, root: Path, limit_bytes: int | None) -> None:
        self._root = root
        self._staging = root / ".staging"
        self._limit_bytes = limit_bytes
        # What earlier processes have left is looked at when the first copy comes in.
        self._grown = limit_bytes or 0

    def path(self, digits: str) -> Path:
        return self._root / key_of(digits)

    def find(self, digits: str) -> Path | None:
        """The copy, which is then spared for some hours; None when there is none."""
        path = self.path(digits)
        with disk_errors(self._root), lock_store(self._staging):
            try:
                os.utime(path)
            except FileNotFoundError:
                return None
        return path

    def take(self, staged: Path, digits: str) -> Path:
        """Moves a whole, checked file in."""
        path = self.path(digits)
        with disk_errors(self._root), lock_store(self._staging):
            path.parent.mkdir(exist_ok=True)
            self._grown += staged.stat().st_size
            staged.rename(path)
        self._trim()
        return path

    def evict(self, digits: str) -> None:
        """Removes the copy, if there is one."""
        with disk_errors(self._root):
            self.path(digits).unlink(missing_ok=True)

    def _trim(self) -> None:
        """Removes what was asked for longest ago, until the limit holds or all that is left is spared."""
        limit = self._limit_bytes
        if limit is None or self._grown < limit * SLACK:
            return
        self._grown = 0
        found = sorted(self._found())
        total = sum(size for _, size, _ in found)
        for _, size, path in found:
            if total <= limit:
                return
            with lock_store(self._staging):
                # Asked for since we looked? A reader in another process may also have removed it.
                if path.exists() and time.time() - path.stat().st_mtime > SPARE_S:
                    path.unlink()
                    total -= size

    def _found(self) -> Iterator[tuple[float, int, Path]]:
        for path in self._root.glob("??/*"):
            if is_key(f"{path.parent.name}/{path.name}"):
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                yield status.st_mtime, status.st_size, path
