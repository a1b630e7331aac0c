"""Puts a file larger than this process may write, and prints the code of the error: FOLDER FILE LIMIT."""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from pathlib import Path

from soundstage.blobs import BlobStore
from soundstage.errors import SoundstageError


async def main(folder: str, source: str, limit: int) -> None:
    store = BlobStore.open(Path(folder))
    # Without the signal's default the process would die instead of being told.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        await store.put_file(Path(source))
    except SoundstageError as error:
        print(error.code)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
