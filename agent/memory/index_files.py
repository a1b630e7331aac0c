"""Stores indexes as files, and reads only whole files of the present rows; called by `indexes`.

A file is one line of JSON about its content and then the content. It is written beside its place and moved
there, so that a process that is killed leaves the old file or the new one; its SHA-256 tells what a power cut
left.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from soundstage.private_files import write_anew

if TYPE_CHECKING:
    from agent.memory.index import MeaningIndex

FORMAT = 1
LONGEST_HEAD = 1000


class Head(BaseModel, extra="forbid", strict=True):
    """The first line of a file: what its content must match."""

    format: int = FORMAT
    model: str
    epoch: str
    last_number: int
    last_id: str
    rows: int
    sha256: str


class IndexFiles:
    """The folder with one file per collection. Every method blocks: call it in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, collection_id: str, index: MeaningIndex) -> None:
        """Raises OSError; the file that was there stays then."""
        content = index.content()
        head = Head(
            model=index.model,
            epoch=index.epoch,
            last_number=index.last_number,
            last_id=index.last_id,
            rows=len(index),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        half = self._folder / f".{collection_id}.{os.getpid()}.part"
        try:
            write_anew(half, head.model_dump_json().encode() + b"\n" + content)
            half.replace(self._path(collection_id))
        finally:
            half.unlink(missing_ok=True)
        index.written_rows = head.rows

    def read(self, collection_id: str) -> MeaningIndex | None:
        """Returns the index; None without a file. Raises ValueError for a broken or foreign file."""
        try:
            written = self._path(collection_id).read_bytes()
        except FileNotFoundError:
            return None
        from agent.memory.index import MeaningIndex

        line, found, content = written.partition(b"\n")
        if not found or len(line) > LONGEST_HEAD:
            raise ValueError("it has no head")
        try:
            head = Head.model_validate_json(line)
        except ValidationError as error:
            raise ValueError("its head is broken") from error
        if head.format != FORMAT or hashlib.sha256(content).hexdigest() != head.sha256:
            raise ValueError("its content is not what its head says")
        index = MeaningIndex.of(
            content,
            model=head.model,
            epoch=head.epoch,
            last_number=head.last_number,
            last_id=head.last_id,
        )
        if len(index) != head.rows:
            raise ValueError("it holds other rows than its head says")
        return index

    def remove(self, collection_id: str) -> None:
        """Removes the file, before rows are deleted: their vectors in it would outlive them."""
        for path in (self._path(collection_id), *self._folder.glob(f".{collection_id}.*.part")):
            path.unlink(missing_ok=True)

    def _path(self, collection_id: str) -> Path:
        return self._folder / f"{collection_id}.faiss"
