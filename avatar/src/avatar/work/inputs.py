"""Brings an order's files to this machine: each blob once, kept in a folder that all tasks of a node share,
and never used when its content is not that of its hash.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath

from avatar.errors import InvalidInput, Unavailable
from avatar.spec.work import WorkOrder
from avatar.work.control import CHUNK_BYTES, Control

FETCH_TRIES = 3
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


class BlobCache:
    """`folder/ab/abcdef…`, as the worker's `--blobs` wants it."""

    def __init__(self, folder: Path, control: Control, patience_s: float) -> None:
        self.folder = folder
        self._control = control
        self._patience_s = patience_s

    def obtain(self, sha256: str, size: int) -> Path:
        """The path of a whole and checked blob; a damaged copy is fetched anew."""
        if _HASH.fullmatch(sha256) is None:
            raise InvalidInput("work.bad_order", "The order names a file by no hash.", "Update the worker.")
        digits = sha256.removeprefix("sha256:")
        path = self.folder / digits[:2] / digits
        if path.is_file() and path.stat().st_size == size and digest_of(path) == sha256:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(FETCH_TRIES):
            if self._control.patiently(lambda: self._fetch(sha256, path), self._patience_s):
                return path
        raise Unavailable(
            "work.blob_damaged",
            f"The file {sha256} came with other content {FETCH_TRIES} times.",
            "The control plane's copy is damaged: upload the file again.",
        )

    def _fetch(self, sha256: str, path: Path) -> bool:
        """Several tasks may fetch the same blob: each into a file of its own, and the rename is atomic."""
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        digest = hashlib.sha256()
        try:
            with part.open("wb") as file:

                def write(chunk: bytes) -> None:
                    digest.update(chunk)
                    file.write(chunk)

                self._control.fetch(sha256, write)
            if f"sha256:{digest.hexdigest()}" != sha256:
                return False
            part.replace(path)
            return True
        finally:
            part.unlink(missing_ok=True)


def lay_out(order: WorkOrder, folder: Path, cache: BlobCache) -> None:
    """Fetches what the order needs and links its files into `folder`."""
    for blob in order.blobs:
        cache.obtain(blob.sha256, blob.bytes)
    for wanted in order.files:
        relative = PurePosixPath(wanted.path)
        if relative.is_absolute() or ".." in relative.parts:
            raise InvalidInput("work.bad_order", "The order leaves its folder.", "Update the control plane.")
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(cache.obtain(wanted.sha256, wanted.bytes))


def digest_of(path: Path) -> str:
    """`sha256:` and 64 hex digits of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"
