"""Folder for copies of the databases during a backup: in the state folder, for one backup at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from soundstage.errors import Conflict, Unavailable

FOLDER = "backup"
PRIVATE = 0o700


class Claim:
    """The backup that runs: `folder` is empty at first and private."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor = descriptor

    def release(self) -> None:
        """Remove the copies and let the next backup begin."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._descriptor)


class BackupWorkspace:
    """`state_dir/backup`. Who makes a backup holds the lock of that folder, against other processes too; a
    process that is killed loses it, and its copies go with the next claim or start.
    """

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir.absolute() / FOLDER
        self._copies = self._folder / "copies"

    def claim(self) -> Claim:
        """Return an empty folder. Raises Conflict (`backup.busy`) while another backup is made, and
        Unavailable.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
            descriptor = self._lock()
        except BlockingIOError:
            raise Conflict(
                "backup.busy",
                "Another backup of this installation is being made.",
                "Run `soundstage backup` again once it has ended.",
            ) from None
        except OSError as error:
            raise self._unusable(error) from error
        try:
            shutil.rmtree(self._copies, ignore_errors=True)
            self._copies.mkdir(mode=PRIVATE)
        except OSError as error:
            os.close(descriptor)
            raise self._unusable(error) from error
        return Claim(self._copies, descriptor)

    def sweep(self) -> None:
        """Remove what a process that was killed has left; called at the start."""
        try:
            descriptor = self._lock()
        except OSError:
            # Nothing is there, or a backup is being made.
            return
        Claim(self._copies, descriptor).release()

    def _lock(self) -> int:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _unusable(self, error: OSError) -> Unavailable:
        return Unavailable(
            "backup.no_workspace",
            f"The databases cannot be copied to {self._folder}: {error.strerror or error}.",
            "`state_dir` has to belong to the user who runs soundstage, and needs room for the databases.",
        )
