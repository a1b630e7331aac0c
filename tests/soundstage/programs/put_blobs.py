"""Puts the same contents that other processes put at the same moment: FOLDER COUNT."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from soundstage.blobs import BlobStore


async def main(folder: str, count: int) -> None:
    store = BlobStore.open(Path(folder))
    for number in range(count):
        await store.put_bytes(f"content {number}".encode() * 5000)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
