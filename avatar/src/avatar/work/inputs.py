"""Lays an order's files out in the folder of its task; called by `avatar work`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from avatar.errors import InvalidInput
from avatar.spec.work import WorkOrder
from avatar.work.blob_cache import BlobCache


def lay_out(order: WorkOrder, folder: Path, cache: BlobCache) -> None:
    """Fetches what the order needs and links its files into `folder`."""
    for blob in order.blobs:
        cache.obtain(blob.sha256, blob.bytes)
    for file in order.files:
        relative = PurePosixPath(file.path)
        if relative.is_absolute() or ".." in relative.parts:
            raise InvalidInput("work.bad_order", "The order leaves its folder.", "Update the control plane.")
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(cache.obtain(file.sha256, file.bytes).resolve())
