"""Records which files of the checkout are opened, by this process and all others, in namespaces too.

The kernel reports each opening by inotify. It does not say who opened a file: no other work may go on in the
checkout meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Labels: for fixtures of the session, and for what decides nothing that tests find.
SHARED, IGNORED = "fixtures of the session", ""
_IN_OPEN, _IN_ISDIR, _IN_Q_OVERFLOW = 0x20, 0x40000000, 0x4000
_EVENT = struct.Struct("iIII")


class OpenedFiles:
    """The files of git that were opened, by `label`, the test module or fixture that runs."""

    def __init__(self, root: Path) -> None:
        self._files = files_in_git(root)
        self._opened: dict[str, set[str]] = defaultdict(set)
        self._label = IGNORED
        self._overflowed = False
        self._lock = threading.Lock()
        libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        folders = {parent for file in self._files for parent in Path(file).parents}
        # A module is read from its source or from what was compiled of it.
        compiled = {folder / "__pycache__" for folder in folders if (root / folder / "__pycache__").is_dir()}
        self._folders: dict[int, Path] = {}
        for folder in folders | compiled:
            watch = libc.inotify_add_watch(self._inotify, os.fsencode(root / folder), _IN_OPEN)
            if watch < 0:
                raise OSError(ctypes.get_errno(), "inotify cannot watch", str(folder))
            self._folders[watch] = folder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read_on, daemon=True)
        self._thread.start()

    @property
    def label(self) -> str:
        return self._label

    @label.setter
    def label(self, label: str) -> None:
        if label != self._label:
            self._read()
            self._label = label

    @contextmanager
    def label_inside(self, label: str) -> Iterator[None]:
        """Counts for `label` what is opened inside."""
        before, self.label = self.label, label
        try:
            yield
        finally:
            self.label = before

    def close(self) -> dict[str, set[str]]:
        """Returns the opened files by label. Raises OverflowError when some may be missing."""
        self._ended.set()
        self._thread.join()
        self._read()
        os.close(self._inotify)
        if self._overflowed:
            raise OverflowError("Files are opened faster than they can be recorded.")
        return dict(self._opened)

    def _read_on(self) -> None:
        """Empties the kernel's queue, which holds 16 384 events, before it overflows."""
        while not self._ended.wait(0.02):
            self._read()

    def _read(self) -> None:
        with self._lock:
            while True:
                try:
                    data = os.read(self._inotify, 1 << 20)
                except BlockingIOError:
                    return
                self._add(data)

    def _add(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, at)
            name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
            at += _EVENT.size + length
            if mask & _IN_Q_OVERFLOW:
                self._overflowed = True
            elif not mask & _IN_ISDIR and watch in self._folders:
                self._opened[self._label] |= self._files & {_source(self._folders[watch], os.fsdecode(name))}


def _source(folder: Path, name: str) -> str:
    """Returns the file that was opened, of a compiled module its source."""
    if folder.name == "__pycache__":
        return str(folder.parent / f"{name.partition('.')[0]}.py")
    return str(folder / name)


def files_in_git(root: Path) -> frozenset[str]:
    """Returns all files that git has or would add; none where there is no git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return frozenset()
    return frozenset(file for file in done.stdout.split("\0") if file)
