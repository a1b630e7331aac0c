"""Measures how fast events are written and read: `scripts/bench events DATABASE_URL`.

Processes append events to one database at the same time, each event in a transaction of its own, while this
process follows them all. DATABASE_URL is a database for this alone: its tables are made, its events stay.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time

from soundstage.database import Database
from soundstage.events import EventStore


async def write(url: str, name: str, seconds: float) -> None:
    """A writer: appends until its time is up."""
    db = Database(url)
    events = EventStore(db)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        async with db.transaction() as session:
            await events.append(session, name, "bench", {"sent": time.time()})
    await db.close()


async def measure(url: str, writers: int, seconds: float) -> None:
    """Starts the writers, follows, and prints events per second and the delay from append to reader."""
    db = Database(url)
    await db.create_tables()
    events = EventStore(db)
    start = await events.last_id()
    sent: list[float] = []
    delays: list[float] = []

    async def follow() -> None:
        async for event in events.follow(after=start):
            sent.append(float(event.data["sent"]))
            delays.append(time.time() - sent[-1])

    following = asyncio.create_task(follow())
    command = [sys.executable, __file__, url, "--seconds", str(seconds), "--write"]
    running = [await asyncio.create_subprocess_exec(*command, f"writer{number}") for number in range(writers)]
    for process in running:
        await process.wait()
    # The follower is asked to the end: nothing that was written may be missing.
    written = await events.last_id() - start
    while len(delays) < written:  # noqa: ASYNC110 - the follower has no door to wait at
        await asyncio.sleep(0.05)
    following.cancel()
    await asyncio.wait([following])
    await db.close()
    rate = (len(sent) - 1) / (max(sent) - min(sent))
    cuts = statistics.quantiles(delays, n=20)
    print(f"{db.url.get_backend_name()}, {writers} writing processes: {rate:.0f} events/s")
    print(f"from append to reader: p50 {cuts[9] * 1000:.1f} ms, p95 {cuts[18] * 1000:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--write", metavar="NAME", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.write:
        asyncio.run(write(chosen.url, chosen.write, chosen.seconds))
    else:
        asyncio.run(measure(chosen.url, chosen.writers, chosen.seconds))


if __name__ == "__main__":
    main()
