"""`run_all`: several processes that `soundstage up` supervises end together."""

from __future__ import annotations

import asyncio

import pytest

from app.server.supervisor import run_all


async def test_each_process_is_stopped_before_up_ends_though_another_ends_sooner() -> None:
    stopped: list[str] = []

    async def serve(name: str, stopping_s: float) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(stopping_s)
            stopped.append(name)

    running = asyncio.create_task(run_all([serve("quick", 0), serve("slow", 0.2)]))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stopped == ["quick", "slow"]
