"""Cuts a disk into pieces that are compressed and hashed one by one; what is zeros is left out. Called by the
build; read by the deploy agent (pxe/agent/image.go), which verifies a piece before it writes it.
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
    """`offset` on the disk; `at` and `bytes` in the file of the pieces; the hash is of what lies there."""

    offset: int = Field(ge=0)
    at: int = Field(ge=0)
    bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ImageIndex(BaseModel, extra="forbid"):
    version: str
    data: str
    disk_bytes: int
    chunk_bytes: int = CHUNK_BYTES
    root_label: str
    chunks: list[Chunk]

    @property
    def stored_bytes(self) -> int:
        return sum(one.bytes for one in self.chunks)


def write_chunks(
    disk: Path, name: str, version: str, root_label: str, target: Path, level: int = 6
) -> ImageIndex:
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
        for offset, packed in pool.map(lambda one: (one[0], _packed(one[1], level)), _pieces(disk)):
            digest = hashlib.sha256(packed).hexdigest()
            index.chunks.append(Chunk(offset=offset, at=at, bytes=len(packed), sha256=digest))
            file.write(packed)
            at += len(packed)
    (target / (name + INDEX_SUFFIX)).write_text(index.model_dump_json())
    return index


def _pieces(disk: Path) -> Iterator[tuple[int, bytes]]:
    nothing = bytes(CHUNK_BYTES)
    with disk.open("rb") as file:
        offset = 0
        while piece := file.read(CHUNK_BYTES):
            if piece != nothing[: len(piece)]:
                yield offset, piece
            offset += len(piece)


def _packed(piece: bytes, level: int) -> bytes:
    return run_tool(["zstd", "-q", "-c", f"-{level}", "--no-check"], doing="Compressing", stdin=piece)
