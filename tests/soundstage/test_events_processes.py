from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from soundstage.database import Database
from soundstage.events import Event, EventStore

WRITERS, EACH = 3, 25


pytestmark = pytest.mark.each_database


async def test_followers_of_writing_processes_lose_nothing_and_see_nothing_twice(
    db: Database, events: EventStore, programs: Path
) -> None:
    expected = WRITERS * EACH * 2

    async def follow_with_interruptions(every: int) -> list[Event]:
        """Breaks off again and again and resumes at the last id seen, as a browser does."""
        found: list[Event] = []
        while len(found) < expected:
            async with aclosing(events.follow(after=found[-1].id if found else 0)) as following:
                async for event in following:
                    found.append(event)
                    if len(found) % every == 0 or len(found) == expected:
                        break
        return found

    followers = [asyncio.create_task(follow_with_interruptions(every)) for every in (7, 50, 10_000)]
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, str(programs / "append_events.py"), str(db.url), f"writer{number}", str(EACH)
        )
        for number in range(WRITERS)
    ]
    # This process writes as well.
    for number in range(10):
        async with db.transaction() as session:
            await events.append(session, "mine", "counted", {"number": number})
    expected += 10
    assert [await asyncio.wait_for(writer.wait(), 60) for writer in writers] == [0] * WRITERS
    for found in await asyncio.wait_for(asyncio.gather(*followers), 60):
        # Ids without a gap, in order: the order in which they were committed.
        assert [event.id for event in found] == list(range(1, expected + 1))
        for stream in {event.stream for event in found}:
            numbers = [event.seq for event in found if event.stream == stream]
            assert numbers == list(range(1, len(numbers) + 1))
        for number in range(WRITERS):
            mine = [event.data["number"] for event in found if event.data.get("by") == f"writer{number}"]
            assert mine == list(range(EACH))
