"""Keeps finished parts of costly networks, so that a run that was stopped goes on where it stood.

A part is found by a digest of everything it follows from, not by its place in a job: what is still the same
after a change of the video, the sound or the options is used again, and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
import zlib
from array import array
from collections.abc import Iterable
from contextlib import suppress
from enum import Flag
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avatar.spec.unfinished import PART_SUFFIX, forget_listed

_CHECK_BYTES = 4
OLDEST_S = 7 * 24 * 3600
MAX_BYTES = 8 << 30
"""Of one folder. What others kept makes room, the oldest first; a job of more keeps its beginning, and a run
that is stopped then does the rest again."""

MIN_FREE_BYTES, MIN_FREE_SHARE = 1 << 30, 0.02
"""Of the disk, the smaller of both: left to what has to be written."""

Content = bytes | str | float | int | None | npt.NDArray[Any]
_BITS = 4
"""Of a cell for the marks. The other sixty tell names apart: two of a million look alike once in two million
times."""
_FIRST = 256


def digest(*of: Content) -> str:
    """Returns a hash of values and arrays in their order."""
    seen = hashlib.blake2b(digest_size=20)
    for one in of:
        if isinstance(one, np.ndarray):
            seen.update(f"{one.dtype.str}{one.shape};".encode())
            seen.update(np.ascontiguousarray(one).data)
        else:
            encoded = one if isinstance(one, bytes) else repr(one).encode()
            seen.update(f"{type(one).__name__}{len(encoded)};".encode() + encoded)
    return seen.hexdigest()


class Mark(Flag):
    """used: asked for or made by this job. put: made by it. found: made by an earlier one. listed: written
    down for the process that has to discard it.
    """

    USED = 1
    PUT = 2
    FOUND = 4
    LISTED = 8


class Marks:
    """Eight bytes for each name and at most twice as many free ones: half an hour of frames takes half a MiB,
    where sets of the names took twelve. Threads may share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clear()

    def add(self, name: str, mark: Mark) -> bool:
        """Returns whether the name had not borne it yet."""
        key, bits = _key(name), mark.value
        with self._lock:
            place = _place(self._cells, key)
            before = self._cells[place]
            self._cells[place] = before | key | bits
            self._taken += before == 0
            if 3 * self._taken > 2 * len(self._cells):
                self._grow()
        return not before & bits

    def has(self, name: str, mark: Mark) -> bool:
        key = _key(name)
        with self._lock:
            return bool(self._cells[_place(self._cells, key)] & mark.value)

    def clear(self) -> None:
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self._cells, self._taken = _cells(_FIRST), 0

    def _grow(self) -> None:
        larger = _cells(2 * len(self._cells))
        for cell in self._cells:
            if cell:
                larger[_place(larger, cell >> _BITS << _BITS)] = cell
        self._cells = larger


def _cells(count: int) -> array[int]:
    return array("Q", bytes(8 * count))


def _key(name: str) -> int:
    seen = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(seen, "big") >> _BITS << _BITS


def _place(cells: array[int], key: int) -> int:
    """Returns where the cell of this key is, or a free one for it: the first from where it belongs."""
    place = (key >> _BITS) % len(cells)
    while cells[place] and cells[place] >> _BITS << _BITS != key:
        place = (place + 1) % len(cells)
    return place


class ResumeCache:
    """Parts as files in `folder`, which jobs may share. Nothing is kept without a folder.

    listed: where the names of this job's parts are written down, for the process that discards them without
    it.
    """

    def __init__(
        self, folder: Path | None, max_bytes: int = MAX_BYTES, *, listed: Path | None = None
    ) -> None:
        self._folder, self._max_bytes, self._listed = folder, max_bytes, listed
        self._marks = Marks()
        self._lock = threading.Lock()
        self.found = 0
        """Parts that an earlier run had made and this one has used, each once however often it asked."""
        self._bytes = 0
        self._full = False
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._bytes = _without_old(folder)

    @property
    def enabled(self) -> bool:
        """Returns whether there is a folder; without one no names are computed."""
        return self._folder is not None

    def get(self, name: str) -> bytes | None:
        """Returns the part, or None when there is none or its file is damaged."""
        if self._folder is None:
            return None
        self._marks.add(name, Mark.USED)
        try:
            held = (self._folder / (name + PART_SUFFIX)).read_bytes()
        except OSError:
            return None
        check, content = held[:_CHECK_BYTES], held[_CHECK_BYTES:]
        if check != _check(content):
            return None
        if not self._marks.has(name, Mark.PUT):
            with self._lock:  # both engines of a chain ask at once
                self.found += self._marks.add(name, Mark.FOUND)
        with suppress(OSError):
            self._write_down(name)
        return content

    def put(self, name: str, content: bytes) -> None:
        """Writes the part; on a full disk nothing is written."""
        if self._folder is None:
            return
        path = self._folder / (name + PART_SUFFIX)
        written = path.with_name(f".{name}.{os.getpid()}")
        try:
            if not self._has_room(self._folder, len(content)):
                return
            self._write_down(name)
            written.write_bytes(_check(content) + content)
            written.replace(path)
        except OSError:
            return
        finally:
            written.unlink(missing_ok=True)
        self._marks.add(name, Mark.USED | Mark.PUT)
        self._bytes += len(content)

    def _has_room(self, folder: Path, needed_bytes: int) -> bool:
        """Returns whether the part fits, after removing the oldest parts that this job has not used. A disk
        that is nearly full has no room: whatever else is written there cannot be left out.
        """
        disk = shutil.disk_usage(folder)
        if disk.free - needed_bytes < min(MIN_FREE_BYTES, MIN_FREE_SHARE * disk.total):
            return False
        if self._bytes + needed_bytes <= self._max_bytes:
            return True
        if self._full:
            return False
        found = _parts(folder)
        self._bytes = sum(size for _, size, _ in found)
        for _, size, path in found:
            if self._bytes + needed_bytes <= self._max_bytes:
                break
            if not self._marks.has(path.name.removesuffix(PART_SUFFIX), Mark.USED):
                path.unlink(missing_ok=True)
                self._bytes -= size
        # What others put there later is not looked for: a long job would look through the folder each frame.
        self._full = self._bytes + needed_bytes > self._max_bytes
        return not self._full

    def forget(self) -> None:
        """Deletes the parts of this job: it is done."""
        if self._folder is not None:
            for _, _, path in _parts(self._folder):
                if self._marks.has(path.name.removesuffix(PART_SUFFIX), Mark.USED):
                    path.unlink(missing_ok=True)
        if self._listed is not None:
            # With what an earlier try had kept and this one did not come to.
            forget_listed(self._listed)
        self._marks.clear()

    def _write_down(self, name: str) -> None:
        """Lists the name before there is a part of it: a list that names too many is harmless."""
        if self._listed is None or self._marks.has(name, Mark.LISTED):
            return
        with self._listed.open("a", encoding="ascii") as names:
            names.write(f"\n{name}\n")  # a full disk may have cut the name before
        self._marks.add(name, Mark.LISTED)


NO_CACHE = ResumeCache(None)


def fingerprint(tensors: Iterable[tuple[str, Any]], values: int = 16) -> str:
    """Returns a hash of some evenly spread values of every tensor, which tells checkpoints apart."""
    seen: list[Content] = []
    for name, tensor in tensors:
        flat = tensor.detach().flatten()
        step = max(1, len(flat) // values)
        seen += [name, str(tuple(tensor.shape)), flat[::step][: values + 1].float().cpu().numpy()]
    return digest(*seen)


def _check(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECK_BYTES, "big")


def _without_old(folder: Path) -> int:
    """Deletes parts older than `OLDEST_S`; returns the bytes of the others."""
    total, before = 0, time.time() - OLDEST_S
    for path in folder.iterdir():
        try:
            found = path.stat()
            if found.st_mtime < before:
                path.unlink()
            else:
                total += found.st_size
        except OSError:
            continue  # another job was quicker
    return total


def _parts(folder: Path) -> list[tuple[float, int, Path]]:
    """Returns time of writing, bytes and path of each part, the oldest first."""
    found = []
    for path in folder.glob("*" + PART_SUFFIX):
        try:
            known = path.stat()
        except OSError:
            continue  # another job was quicker
        found.append((known.st_mtime, known.st_size, path))
    return sorted(found)
