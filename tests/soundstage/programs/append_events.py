"""Appends events to a database that other processes write to as well: DATABASE NAME COUNT."""

from __future__ import annotations

import asyncio
import sys

from soundstage.database import Database
from soundstage.events import EventStore


async def main(url: str, name: str, count: int) -> None:
    db = Database(url)
    store = EventStore(db)
    for number in range(count):
        async with db.transaction() as session:
            await store.append(session, "shared", "counted", {"by": name, "number": number})
            await store.append(session, f"own:{name}", "counted", {"number": number})
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
