"""Measures how fast events are written and read: `scripts/bench events`.

Processes append events to one database at the same time, each event in a transaction of its own, while this
process follows them all. Without URLs it takes a file of SQLite and a PostgreSQL server of its own, both as
they are delivered. A URL is a database for this alone: its tables are made, its events stay.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "tests/servers"))

from postgresql_server import INSTALL, find_programs, running_server

from bench.results import add_figure, add_json_option, write_figures
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


async def measure(url: str, writers: int, seconds: float) -> float:
    """Returns events per second, and prints them and the delay from append to reader."""
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
    return rate


@contextmanager
def own_databases() -> Iterator[list[str]]:
    """A file of SQLite and a database of PostgreSQL."""
    programs = find_programs()
    if programs is None:
        sys.exit(INSTALL)
    with tempfile.TemporaryDirectory() as folder, running_server(programs, durable=True) as server:
        yield [f"sqlite:///{folder}/events.db", server.url("postgres")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", nargs="*", metavar="URL")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--write", metavar="NAME", help=argparse.SUPPRESS)
    add_json_option(parser)
    chosen = parser.parse_args()
    if chosen.write:
        asyncio.run(write(chosen.urls[0], chosen.write, chosen.seconds))
        return
    with nullcontext(chosen.urls) if chosen.urls else own_databases() as urls:
        rates = [asyncio.run(measure(url, chosen.writers, chosen.seconds)) for url in urls]
    for url, rate in zip(urls[1:], rates[1:], strict=True):
        backend, ratio = url.partition(":")[0], rate / rates[0]
        print(f"{backend}: {ratio:.2f} times the first")
        name = f"events written on {backend} by {chosen.writers} processes; ratio: to SQLite"
        add_figure(name, rate, "per second", ratio=ratio)
    write_figures("farm", chosen.json)


if __name__ == "__main__":
    main()
