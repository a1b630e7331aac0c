"""Cuts a disk into chunks that are compressed and hashed one by one; chunks of zeros are left out. Called by
the build; read by the deploy agent (pxe/agent/image.go), which verifies a chunk before it writes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel, Field

from pxe.image.programs import run_tool

# Small enough to be held in the memory of a ramdisk a few times.
CHUNK_BYTES = 4 << 20
INDEX_SUFFIX, DATA_SUFFIX = ".image.json", ".image"
_AT_ONCE = 4


class Chunk(BaseModel, extra="forbid"):
    """`offset` on the disk; `at`: offset in the data file; `bytes` and hash of the compressed chunk there."""

    offset: int = Field(ge=0)
    at: int = Field(ge=0)
    bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ImageIndex(BaseModel, extra="forbid"):
    """Describes an image. `data`: name of the data file."""

    version: str
    data: str
    disk_bytes: int
    chunk_bytes: int = CHUNK_BYTES
    root_label: str
    chunks: list[Chunk]

    @property
    def stored_bytes(self) -> int:
        return sum(one.bytes for one in self.chunks)


def write_chunks(disk: Path, name: str, version: str, root_label: str, target: Path) -> ImageIndex:
    """Writes NAME.image and NAME.image.json into the folder `target`."""
    index = ImageIndex(
        version=version,
        data=name + DATA_SUFFIX,
        disk_bytes=disk.stat().st_size,
        root_label=root_label,
        chunks=[],
    )
    at = 0
    with (target / index.data).open("wb") as file, ThreadPoolExecutor(_AT_ONCE) as pool:
        for offset, compressed in pool.map(lambda one: (one[0], _compress(one[1])), _chunks(disk)):
            digest = hashlib.sha256(compressed).hexdigest()
            index.chunks.append(Chunk(offset=offset, at=at, bytes=len(compressed), sha256=digest))
            file.write(compressed)
            at += len(compressed)
    (target / (name + INDEX_SUFFIX)).write_text(index.model_dump_json())
    return index


def _chunks(disk: Path) -> Iterator[tuple[int, bytes]]:
    zeros = bytes(CHUNK_BYTES)
    with disk.open("rb") as file:
        offset = 0
        while chunk := file.read(CHUNK_BYTES):
            if chunk != zeros[: len(chunk)]:
                yield offset, chunk
            offset += len(chunk)


def _compress(chunk: bytes) -> bytes:
    return run_tool(["zstd", "-q", "-c", "-6", "--no-check"], doing="Compressing", stdin=chunk)
