"""What goes wrong between a worker and the control plane: limits, tokens that run out, clocks that jump."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from avatar.spec import FrameProgress

from farm.failures import RETRYABLE
from farm.states import TaskState
from farm.transfer import service
from soundstage.database import utcnow

pytestmark = pytest.mark.root


async def drawing(scheduler: Any, task_id: str) -> None:
    async with asyncio.timeout(60):
        async for event in scheduler.watch(task_id):
            assert not event.last, event
            if isinstance(event.line, FrameProgress):
                return


async def last_event(scheduler: Any, task_id: str) -> Any:
    async with asyncio.timeout(120):
        return [event async for event in scheduler.watch(task_id)][-1]


async def test_a_file_over_the_limit_ends_the_task_and_names_the_limit(
    scheduler: Any, make_task: Any
) -> None:
    await scheduler.submit(await make_task("a", f"!large {65 << 20}"))
    last = await last_event(scheduler, "a")
    assert last.failure.code == "blob.too_large" and "64 MiB" in last.failure.message
    assert "limits.upload_mib" in last.failure.hint


async def test_a_worker_whose_token_has_run_out_stops_and_the_work_is_tried_again(
    scheduler: Any, make_task: Any, control: Any
) -> None:
    # It hears of its token with its next frame, after 15 s; one that goes on would be waited for in vain.
    await scheduler.submit(await make_task("a.1", "!slow 150"))
    await drawing(scheduler, "a.1")
    await control.transfer.limit("a.1", 0.0)
    last = await last_event(scheduler, "a.1")
    assert last.state is TaskState.FAILED and last.failure.code in RETRYABLE
    await scheduler.submit(await make_task("a.2", "hello"))
    assert (await last_event(scheduler, "a.2")).state is TaskState.DONE


@pytest.mark.parametrize("jump", [timedelta(minutes=50), timedelta(hours=-12)])
async def test_work_goes_on_when_the_clock_of_the_server_is_put_right(
    scheduler: Any, make_task: Any, monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    await scheduler.submit(await make_task("a", "!slow 4", time_limit_s=3600.0))
    await drawing(scheduler, "a")
    monkeypatch.setattr(service, "utcnow", lambda: utcnow() + jump)
    assert (await last_event(scheduler, "a")).state is TaskState.DONE
