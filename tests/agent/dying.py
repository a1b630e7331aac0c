"""Lets a process die, or a person cancel, while a tool runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

import pytest
from sqlalchemy import update

from agent.events import BrainEvent
from agent.sessions.models import AgentTurn
from agent.tools.toolset import ToolCall
from app.composition import Services
from soundstage.database import utcnow

WAIT_S = 30


class Talks(Protocol):
    services: Services

    async def say(self, sentence: str) -> list[BrainEvent]: ...


class _Stopping:
    """Runs calls until one that `stops` says, before or after that one."""

    def __init__(self, inner: Any, stops: Callable[[ToolCall], bool], *, after: bool) -> None:
        self._inner, self._stops, self._after = inner, stops, after
        self.reached = asyncio.Event()

    @property
    def tools(self) -> Any:
        return self._inner.tools

    async def run(self, context: Any, call: ToolCall) -> Any:
        if not self._stops(call):
            return await self._inner.run(context, call)
        if self._after:
            await self._inner.run(context, call)
        self.reached.set()
        return await asyncio.Event().wait()


async def die_at(
    talk: Talks, sentence: str, stops: Callable[[ToolCall], bool], *, after: bool = False
) -> None:
    """Says a sentence whose process dies at a call: nothing more of its turn is written; its lease ends."""
    sessions = talk.services.brain.sessions
    await cancel_at(talk, sentence, stops, after=after, dead=True)
    async with sessions.database.transaction() as session:
        running = update(AgentTurn).where(AgentTurn.finished_at.is_(None))
        await session.execute(running.values(alive_until=utcnow() - timedelta(hours=1)))


async def cancel_at(
    talk: Talks,
    sentence: str,
    stops: Callable[[ToolCall], bool],
    *,
    after: bool = False,
    dead: bool = False,
) -> None:
    """Says a sentence and cancels its answer at a call."""
    brain = talk.services.brain
    stopping = _Stopping(brain.toolset, stops, after=after)
    brain.toolset = stopping  # type: ignore[assignment]
    answer = asyncio.create_task(talk.say(sentence))
    async with asyncio.timeout(WAIT_S):
        await stopping.reached.wait()
    if dead:
        brain.sessions.end_turn = _nothing  # type: ignore[method-assign]
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer


async def _nothing(*_: Any) -> None:
    """Writes nothing."""
