"""Begins to put a blob, says so, and never ends, so that a test can kill it half way: FOLDER."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from soundstage.blobs import BlobStore


async def chunks() -> AsyncIterator[bytes]:
    yield b"x" * 100_000
    print("half way", flush=True)
    await asyncio.sleep(3600)


async def main(folder: str) -> None:
    await BlobStore.open(Path(folder)).put_stream(chunks())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
