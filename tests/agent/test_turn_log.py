"""What is written of an answer while it is told, and what waits where many write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from brain_answers import ignore

from agent.events import Text
from agent.turns.log import FLUSH_S, TurnLog
from app.composition import Services
from policy import Principal
from soundstage.database import Database
from soundstage.database.engine import CONGESTED_AT

ADA = Principal(id="key_ada", name="Ada", role="editor", kind="key")


@pytest.fixture
def database_engine() -> str:
    return "sqlite"


@asynccontextmanager
async def crowd(database: Database) -> AsyncIterator[None]:
    """One writes and does not come to its end; others wait behind it."""
    ended = asyncio.Event()

    async def write() -> None:
        async with database.transaction():
            await ended.wait()

    writing = [asyncio.create_task(write()) for _ in range(CONGESTED_AT)]
    await asyncio.sleep(0.1)
    assert database.is_write_queue_congested
    yield
    ended.set()
    await asyncio.gather(*writing)


async def test_one_who_writes_is_no_crowd(services: Services) -> None:
    assert not services.database.is_write_queue_congested
    async with services.database.transaction():
        assert not services.database.is_write_queue_congested
    async with crowd(services.database):
        pass
    assert not services.database.is_write_queue_congested


async def test_what_is_told_is_kept_soon_and_waits_where_many_write(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = services.brain.sessions
    turn = await sessions.begin_turn(await sessions.open(ADA), "hello")
    stored: list[bool] = []

    async def keep(*_: object) -> None:
        stored.append(services.database.is_write_queue_congested)

    monkeypatch.setattr(type(sessions), "append_events", keep)
    log = TurnLog(sessions, turn, ignore)
    async with crowd(services.database), log.flush_regularly():
        await log.add(Text(text="one"))
        await asyncio.sleep(FLUSH_S * 4)
        assert stored == []
    async with log.flush_regularly():
        async with asyncio.timeout(60):
            while not stored:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(FLUSH_S)
    assert stored == [False]
