"""Whether a render will be ready when it is wanted: said from what was measured here."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import RenderSpec

from farm.history import RunTimes
from farm.local import LocalOptions, LocalScheduler
from farm.measured import MeasuredScheduler
from farm.needs import Needs
from studio.renders.journal import stream_of
from studio.renders.schemas import RenderRequest
from studio.wiring import worker_cache

STAND_IN = Path(__file__).parents[1] / "farm" / "stand_in.py"
RIG = Needs(engine="rig")


@pytest.fixture
async def rooms(settings: Any, db: Any, blobs: Any, new_studio: Any) -> AsyncIterator[Any]:
    """A studio that measures; one worker at a time."""
    times = RunTimes(db)
    command = (sys.executable, "-I", "-S", str(STAND_IN))
    options = LocalOptions(command, settings.state_dir / "work", worker_cache(settings), 1, grace_s=1.0)
    scheduler = MeasuredScheduler(LocalScheduler(blobs, options), blobs, times)
    created = new_studio(scheduler=scheduler, times=times)
    await created.dispatcher.start()
    yield created
    await created.dispatcher.close()
    await scheduler.close()


def request_in(in_s: float, *scripts: str) -> RenderRequest:
    scenes = [{"id": f"s{number}", "script": script} for number, script in enumerate(scripts)]
    spec = RenderSpec.model_validate({"canvas": {"width": 320, "height": 180}, "scenes": scenes})
    return RenderRequest(spec=spec, ready_by=datetime.now(UTC) + timedelta(seconds=in_s))


async def forecast(rooms: Any, render_id: str) -> Any:
    async with asyncio.timeout(60):
        # A forecast may come while it still waits for its turn.
        while (view := await rooms.renders.get(render_id)).forecast is None or view.state == "queued":
            assert not view.ended, view
            await asyncio.sleep(0.05)
    return view.forecast


async def test_nobody_knows_before_anything_of_the_kind_has_ended(rooms: Any, events: Any) -> None:
    view = await rooms.renders.create(request_in(3600, "!slow 4"))
    assert view.ready_by is not None
    found = await forecast(rooms, view.id)
    assert found.verdict == "unknown" and "2 steps have never run here" in found.sentence
    assert found.sentence in await rooms.renders.explain(view.id)
    reported = [event for event in await events.read(stream_of(view.id)) if event.kind == "render.forecast"]
    assert reported[0].data["verdict"] == "unknown"


async def test_what_was_measured_tells_whether_it_can_be_ready(rooms: Any, db: Any) -> None:
    words = "and it goes on for a while"
    first = await rooms.renders.create(RenderRequest(spec=request_in(0, f"!slow 3\n{words}").spec))
    assert (await rooms.renders.wait(first.id)).state == "done"
    after_a_restart = RunTimes(db)
    await after_a_restart.load()
    known = after_a_restart.estimate("segment", RIG, 1.0)
    assert known is not None and known.likely_s > 0

    easy = await rooms.renders.create(request_in(3600, f"!slow 3\n{words}, easily"))
    assert (await forecast(rooms, easy.id)).verdict == "yes"
    hard = await rooms.renders.create(request_in(1, *(f"!slow 3\n{words}, {name}" for name in "abc")))
    text = await forecast(rooms, hard.id)
    assert text.verdict == "no" and text.sentence.startswith("cannot be ready by ")
    assert text.likely_at > hard.ready_by
    await rooms.renders.cancel(hard.id)
    await rooms.renders.wait(hard.id)


async def test_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone"):
        RenderRequest(script="Hello.", ready_by="2030-01-01T17:00:00")  # type: ignore[arg-type]
