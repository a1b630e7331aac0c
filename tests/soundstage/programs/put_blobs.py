"""Puts the same contents that other processes put at the same moment: URL CACHE COUNT."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from soundstage.blobs import BlobStore


async def main(url: str, cache: str, count: int) -> None:
    store = BlobStore.open(url, cache=Path(cache))
    for number in range(count):
        await store.put_bytes(f"content {number}".encode() * 5000)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
