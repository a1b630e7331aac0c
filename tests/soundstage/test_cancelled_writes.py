"""A task cancelled in the middle of a write lets go of the database, whoever still holds its traceback."""

from __future__ import annotations

import asyncio
import random

import pytest

from soundstage.database import Database
from soundstage.events import EventStore

pytestmark = pytest.mark.each_database


async def test_writers_cancelled_anywhere_leave_the_lock_to_others(database_url: str) -> None:
    db = Database(database_url, busy_timeout_ms=20_000)
    await db.create_tables()
    events = EventStore(db)

    async def write(stream: str) -> None:
        while True:
            async with db.transaction() as session:
                await events.append(session, stream, "written")
            await asyncio.sleep(0)

    pauses = random.Random(1)  # noqa: S311 - for timing only
    cancelled: list[asyncio.Task[None]] = []
    for _ in range(60):
        tasks = [asyncio.create_task(write(f"s{number}")) for number in range(3)]
        await asyncio.sleep(pauses.random() * 0.03)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        # Kept on purpose: the traceback in each refers to the cursor it was cancelled at.
        cancelled += tasks
        async with db.transaction() as session:
            await events.append(session, "main", "written")
    assert len(await events.read("main")) == 60
    await db.close()
