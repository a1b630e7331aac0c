"""The leader of many processes on one PostgreSQL: one at a time, and none that the server does not know."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from waiting import eventually_async

from soundstage.background import ProcessLock
from soundstage.database import Database
from soundstage.database.leader_locks import LOST_EXIT_CODE, AdvisoryLock, AdvisoryLocks
from soundstage.errors import Unavailable

NOBODY = Path("/nonexistent")


class Process:
    """One of several processes: its locks, and those that it has lost."""

    def __init__(self, database_url: str) -> None:
        self.database = Database(database_url)
        self.lost: list[str] = []
        self.locks = AdvisoryLocks(self.database.engine, self.lost.extend, heartbeat_s=0.05, lease_s=0.6)
        self.render, self.publish = AdvisoryLock(self.locks, "render"), AdvisoryLock(self.locks, "publish")

    async def close(self) -> None:
        await self.locks.close()
        await self.database.close()


@pytest.fixture
def database_engine() -> str:
    return "postgresql"


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[tuple[Process, Process]]:
    first, second = Process(database_url), Process(database_url)
    yield first, second
    await first.close()
    await second.close()


async def end_sessions(db: Database) -> None:
    """Ends the sessions that hold advisory locks, as a broken line does."""
    async with db.session() as session:
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
            )
        )


async def refuse_sessions(database_url: str) -> None:
    """Ends all sessions of the test's database and lets nobody connect to it any more."""
    name = re.search(r"/(test_\w+)", database_url)
    assert name
    boss = Database(database_url.replace(name[0], "/postgres"))
    async with boss.transaction() as session:
        await session.execute(text(f'ALTER DATABASE "{name[1]}" ALLOW_CONNECTIONS false'))
    await end_sessions(boss)
    await boss.close()


async def test_one_leads_and_the_next_one_follows_when_it_ends(two: tuple[Process, Process]) -> None:
    first, second = two
    assert not await second.render.is_locked()
    assert await first.render.acquire() and await first.render.acquire()
    assert not await second.render.acquire()
    assert (first.render.held, second.render.held) == (True, False)
    assert await second.render.is_locked()
    assert await second.publish.acquire(), "each lock has a leader of its own"
    await first.locks.close()
    assert not first.render.held
    assert await second.render.acquire()


async def test_two_objects_of_one_process_do_not_lead_both(two: tuple[Process, Process]) -> None:
    first, _ = two
    other = AdvisoryLock(first.locks, "render")
    assert await first.render.acquire()
    assert not await other.acquire()
    await other.release()
    assert first.render.held
    await first.render.release()
    assert await other.acquire()


async def test_a_broken_line_is_mended_where_nobody_else_has_taken_the_lock(
    two: tuple[Process, Process], db: Database
) -> None:
    first, second = two
    assert await first.render.acquire() and await first.publish.acquire()
    await end_sessions(db)

    async def are_both_locked() -> bool:
        return await second.render.is_locked() and await second.publish.is_locked()

    await asyncio.sleep(0.1)
    await eventually_async(are_both_locked)
    assert first.lost == [] and first.render.held
    assert not await second.render.acquire()


async def test_who_does_not_lead_goes_on_after_a_broken_line(
    two: tuple[Process, Process], database_url: str
) -> None:
    first, second = two
    assert await first.render.acquire() and not await second.render.acquire()
    pid = (await second.locks._driver()).get_server_pid()
    async with first.database.session() as session:
        await session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    with suppress(Unavailable):
        await second.render.acquire()
    assert not await second.render.acquire()
    await first.locks.close()
    assert await second.render.acquire()


async def test_who_finds_another_leader_after_a_broken_line_loses_all_its_locks(
    two: tuple[Process, Process], db: Database
) -> None:
    first, second = two
    assert await first.render.acquire() and await first.publish.acquire()
    async with first.locks._using:  # no heartbeat until the other one has it
        await end_sessions(db)
        await eventually_async(second.render.acquire)

    async def has_lost() -> bool:
        return first.lost == ["publish", "render"]

    await eventually_async(has_lost)
    assert not first.render.held and not first.publish.held
    assert second.lost == [] and second.render.held


async def test_a_server_that_does_not_answer_ends_the_lease(
    two: tuple[Process, Process], database_url: str
) -> None:
    first, _ = two
    assert await first.render.acquire()
    await refuse_sessions(database_url)

    async def has_lost() -> bool:
        return first.lost == ["render"]

    await eventually_async(has_lost)
    assert not first.render.held


LEADER = """
import asyncio, sys
from pathlib import Path
from soundstage.database import Database

async def lead():
    lock = Database(sys.argv[1]).leader_lock("render", Path("."))
    assert await lock.acquire()
    print("leads", flush=True)
    await asyncio.sleep(60)

asyncio.run(lead())
"""


async def test_a_process_that_has_lost_its_lock_ends(two: tuple[Process, Process], database_url: str) -> None:
    leader = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LEADER, database_url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert leader.stdout and await leader.stdout.readline() == b"leads\n"
    assert not await two[0].render.acquire()
    leader.send_signal(signal.SIGSTOP)
    await end_sessions(two[1].database)
    await eventually_async(two[0].render.acquire)
    leader.send_signal(signal.SIGCONT)
    output, _ = await leader.communicate()
    assert leader.returncode == LOST_EXIT_CODE, output
    assert b"leadership.lost" in output and two[0].lost == []


async def test_a_database_without_sessions_locks_files(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/one.db")
    lock = database.leader_lock("render", tmp_path)
    assert await lock.acquire()
    assert not await ProcessLock(tmp_path / "render.lock").acquire()
    await database.close()
