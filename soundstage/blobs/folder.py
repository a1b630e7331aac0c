"""Blobs as files below a folder; `BlobStore` calls it where it has no bucket."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from soundstage.blobs.quota import Quota
from soundstage.blobs.schemas import key_of
from soundstage.blobs.staging import StagedFile, disk_errors, lock_store
from soundstage.private_files import sync_path


class BlobFolder:
    """The files `ab/abcdef…` below `root`, and beside them the staging folder."""

    def __init__(self, root: Path, staging: Path, quota: Quota) -> None:
        self._root, self._staging, self._quota = root, staging, quota

    def path_of(self, digits: str) -> Path:
        return self._root / key_of(digits)

    def place(self, staged: StagedFile, digits: str) -> None:
        """Moves a finished file to its name, or touches the one that is there."""
        final = self.path_of(digits)
        with disk_errors(self._root), lock_store(self._staging):
            if final.exists():
                _touch_now(final)
                return
            self._quota.check(staged.bytes)
            final.parent.mkdir(exist_ok=True)
            staged.path.rename(final)
            # The content is on the disk already; so must be the names, or a power cut undoes the rename.
            sync_path(final.parent)
            sync_path(self._root)
        self._quota.count(staged.bytes)

    def touch(self, digits: str) -> bool:
        """Returns False when the file is not there."""
        with disk_errors(self._root), lock_store(self._staging):
            try:
                _touch_now(self.path_of(digits))
            except FileNotFoundError:
                return False
        return True

    def delete(self, digits: str, unless_modified_since: datetime | None) -> bool:
        """Returns False when the file was not there, or is as new as that."""
        path = self.path_of(digits)
        # Under the lock that `place` takes: content that is put again at this moment either moves the time
        # that we are about to read, or finds the file gone and stores it anew.
        with disk_errors(self._root), lock_store(self._staging):
            try:
                status = path.stat()
            except FileNotFoundError:
                return False
            modified = datetime.fromtimestamp(status.st_mtime, UTC)
            if unless_modified_since is not None and modified >= unless_modified_since:
                return False
            path.unlink()
        self._quota.count(-status.st_size)
        return True


def _touch_now(path: Path) -> None:
    """By our clock and not by the kernel's for files, which lags some milliseconds behind: what is put again
    right after a look would seem older than that look.
    """
    os.utime(path, ns=(time.time_ns(), time.time_ns()))
