"""A process that remembers and says how far it is on standard output; tests kill it.

python rememberer.py DATABASE_URL FOLDER MOMENT TEXT…
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from agent.memory.index_files import IndexFiles
from agent.memory.indexes import Indexes
from agent.memory.service import MemoryService, Owner
from soundstage.database import Database

ADA = Owner("default", "key_ada")


def stop_here(moment: str) -> None:
    print(moment, flush=True)
    time.sleep(600)


async def main(url: str, folder: str, moment: str, *texts: str) -> None:
    database = Database(url)
    memory = MemoryService(database, Path(folder))

    async def stopped(*_: Any) -> None:
        stop_here(moment)

    def half_written(self: IndexFiles, collection_id: str, *_: Any) -> None:
        (Path(folder) / f".{collection_id}.1.part").write_bytes(b'{"format": 1, "model"')
        stop_here(moment)

    match moment:
        case "between row and index":
            Indexes.catch_up = stopped  # type: ignore[method-assign]
        case "in the middle of the file":
            IndexFiles.write = half_written  # type: ignore[method-assign]
        case "forgotten and not tidied up":
            drop, calls = Indexes.drop, []

            async def dropped(self: Indexes, collection_ids: Any) -> None:
                calls.append(1)
                if len(calls) == 2:
                    stop_here(moment)
                await drop(self, collection_ids)

            Indexes.drop = dropped  # type: ignore[method-assign]
            await memory.forget(ADA, None)
    for text in texts:
        await memory.remember(ADA, text)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
