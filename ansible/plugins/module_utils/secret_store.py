# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder outside the checkout that holds a farm's secrets: tight modes, atomic changes, one writer.

Used by the action plugins, which run on the controller.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

_README = """\
The secrets of one farm. Made and completed by the playbook; see docs/guide/cluster.md of Soundstage.
Keep a copy in a safe place: without tls/ca-key.pem, ssh/ and the management tokens nobody can run the farm.
Never put this folder under version control.
"""

# Holds a change of several files until all of them are written.
_JOURNAL = ".journal"


class SecretStoreError(Exception):
    """The folder or a file in it cannot be used; the text says what to do."""


class SecretStore:
    """Files by relative name, such as `consul/gossip.key`. Folders are 0700 and files 0600."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        if not self.folder.is_absolute():
            raise SecretStoreError(f"The secrets folder must be an absolute path, not {str(folder)!r}.")

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """The folder after `check`, as most callers want it."""
        store = cls(folder)
        store.check()
        return store

    def check(self) -> None:
        """Refuse a folder that others could have read or written, and complete a change that was cut off."""
        if not self.folder.exists():
            return
        state = self.folder.stat()
        if state.st_uid != os.geteuid():
            raise SecretStoreError(
                f"{self.folder} belongs to user {state.st_uid}, and {os.geteuid()} runs Ansible. "
                "Run as its owner, or give it to this user with chown -R."
            )
        if state.st_mode & 0o077:
            raise SecretStoreError(
                f"{self.folder} is open to other users (mode {state.st_mode & 0o777:04o}). Close it with "
                f"chmod 700 {self.folder}; if others may have looked, run the playbook rotate-secrets."
            )
        if self.has(_JOURNAL):
            with self.lock():
                pass  # taking the lock completes the change

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one writer; a second run waits here. Completes a change that was cut off."""
        self._make(self.folder)
        with (self.folder / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._apply_journal()
            yield

    def path(self, name: str) -> Path:
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise SecretStoreError(f"{name!r} leads out of the secrets folder.")
        return path

    def has(self, name: str) -> bool:
        return self.path(name).exists()

    def read(self, name: str) -> bytes:
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            raise SecretStoreError(
                f"{self.folder / name} is missing. Restore it from your copy, or run the playbook "
                "without --check, which makes it."
            ) from None
        except OSError as error:
            raise SecretStoreError(f"{self.folder / name} cannot be read: {error.strerror}.") from error

    def text(self, name: str) -> str:
        """The file as one stripped line or block of text, as tokens are kept."""
        value = self.read(name).decode("utf-8", errors="replace").strip()
        if not value:
            raise SecretStoreError(f"{self.folder / name} is empty. Restore it from your copy.")
        return value

    def all_texts(self) -> Iterator[str]:
        """Returns the content of every file, to compare it later."""
        for file in sorted(self.folder.rglob("*")):
            if file.is_file() and not file.name.startswith((".", "README")):
                yield file.read_bytes().decode("utf-8", errors="replace")

    def write(self, name: str, content: bytes, mode: int = 0o600) -> None:
        """Replace the file whole: after a crash it is the old one or the new one."""
        path = self.path(name)
        self._make(path.parent)
        descriptor, staging = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            Path(staging).chmod(mode)
            Path(staging).replace(path)
        except BaseException:
            Path(staging).unlink(missing_ok=True)
            raise

    def commit(self, changes: Mapping[str, bytes | None]) -> None:
        """Replace several files as one change, under the lock; None removes a file.

        The change is written to a journal first. After a crash either no file has changed, or the next
        `check` or `lock` completes the change.
        """
        journal = {
            name: None if content is None else base64.b64encode(content).decode()
            for name, content in changes.items()
        }
        self.write(_JOURNAL, json.dumps(journal).encode())
        self._apply_journal()

    def _apply_journal(self) -> None:
        if not self.has(_JOURNAL):
            return
        for name, content in json.loads(self.read(_JOURNAL)).items():
            if content is None:
                self.remove(name)
            else:
                self.write(name, base64.b64decode(content))
        self.remove(_JOURNAL)

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def _make(self, folder: Path) -> None:
        if not folder.exists():
            folder.mkdir(parents=True, mode=0o700)
            if folder == self.folder:
                (folder / "README").write_text(_README)
