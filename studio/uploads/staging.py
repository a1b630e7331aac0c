"""Files of uploads that are not whole yet: one private file each, whose size is how much has come."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from soundstage.blobs.staging import check_disk, disk_errors
from soundstage.errors import NotFound
from soundstage.private_files import OWNER_ONLY
from soundstage.tasks import finish

ENDING = ".part"


class Staging:
    """Blocking calls run in threads. Ids are ours: no caller's text becomes a path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}{ENDING}"

    async def create(self, upload_id: str) -> None:
        await asyncio.to_thread(self._create, upload_id)

    async def size(self, upload_id: str) -> int | None:
        """None where there is no file (any more)."""
        try:
            return (await asyncio.to_thread(self.path(upload_id).stat)).st_size
        except FileNotFoundError:
            return None

    async def check_disk(self, more: int) -> None:
        """Raises StorageFull when the disk has no room for so many bytes, less those that have come."""
        await asyncio.to_thread(self._check_disk, more)

    async def head(self, upload_id: str, count: int) -> bytes:
        return await asyncio.to_thread(self._head, upload_id, count)

    async def remove(self, upload_id: str) -> None:
        await asyncio.to_thread(self.path(upload_id).unlink, missing_ok=True)

    async def remove_older(self, seconds: float) -> None:
        """Returns files without a write for so long, whether their row is there or not."""
        await asyncio.to_thread(self._remove_older, time.time() - seconds)

    @contextmanager
    def open_file(self, upload_id: str) -> Iterator[StagingFile]:
        """Opens the file for appending."""
        with disk_errors(self._folder):
            try:
                file = FileIO(os.open(self.path(upload_id), os.O_WRONLY | os.O_APPEND), "ab")
            except FileNotFoundError as error:
                raise NotFound(
                    "upload.not_found", "There is no such upload (any more).", "Begin it anew."
                ) from error
            with file:
                yield StagingFile(file, self._folder)

    def _create(self, upload_id: str) -> None:
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.path(upload_id), os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))

    def _check_disk(self, more: int) -> None:
        for path in self._folder.glob(f"*{ENDING}"):
            with suppress(FileNotFoundError):
                more -= path.stat().st_size
        check_disk(self._folder, max(0, more))

    def _head(self, upload_id: str, count: int) -> bytes:
        with self.path(upload_id).open("rb") as file:
            return file.read(count)

    def _remove_older(self, before: float) -> None:
        for path in self._folder.glob(f"*{ENDING}") if self._folder.is_dir() else ():
            try:
                if path.stat().st_mtime < before:
                    path.unlink()
            except FileNotFoundError:
                continue


class StagingFile:
    def __init__(self, file: FileIO, folder: Path) -> None:
        self._file = file
        self._folder = folder

    async def write(self, chunk: bytes) -> None:
        """The caller goes on only when it is written, also when the caller is cancelled meanwhile: whoever
        takes over looks at the size.
        """
        await finish(asyncio.to_thread(self._write, chunk))

    def _write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        with disk_errors(self._folder):
            while rest:
                rest = rest[self._file.write(rest) :]
