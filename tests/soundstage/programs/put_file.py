"""Puts one file, however long that takes, and prints by how much memory that grew: URL CACHE FILE."""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from soundstage.blobs import BlobStore


def peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


async def main(url: str, cache: str, path: str) -> None:
    store = BlobStore.open(url, cache=Path(cache))
    await store.put_bytes(b"the first one")
    before = peak_mib()
    blob = await store.put_file(Path(path))
    async for _ in store.stream(blob.sha256):
        pass
    print(peak_mib() - before)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3]))
