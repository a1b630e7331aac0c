"""Who cancels wants nothing kept for a second try; a server that stops and a worker that is lost do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from avatar.spec import RenderSpec
from waiting import eventually_async

from farm.local import LocalScheduler
from farm.placement import Retries
from soundstage.settings import Settings
from studio.renders.repository import Renders
from studio.renders.schemas import RenderRequest
from studio.renders.states import RenderState
from studio.wiring import Studio, build_studio, worker_cache

FILES_OF_ONE = 3
"""A part, half of another, and the list of both; see tests/farm/stand_in.py."""


def spec_of(*scripts: str) -> RenderSpec:
    scenes = [{"id": f"s{number}", "script": script} for number, script in enumerate(scripts)]
    return RenderSpec.model_validate({"canvas": {"width": 320, "height": 180}, "scenes": scenes})


@pytest.fixture
def kept(settings: Settings) -> Callable[[], int]:
    """How many files of unfinished work lie in the worker's cache."""
    folder = worker_cache(settings) / "unfinished"
    return lambda: sum(1 for _ in folder.glob("*"))


async def begun(rooms: Studio, kept: Callable[[], int], *scripts: str) -> str:
    """The id of a render that is made now and keeps something."""
    before = kept()
    view = await rooms.renders.create(RenderRequest(spec=spec_of(*scripts)))
    await eventually_async(lambda: kept() == before + FILES_OF_ONE)
    return view.id


@pytest.mark.parametrize("how", ["slow", "deaf"])
async def test_a_cancelled_render_leaves_nothing_for_a_second_try(
    rooms: Studio, kept: Callable[[], int], how: str
) -> None:
    render = await begun(rooms, kept, f"!keep {how}")
    await rooms.renders.cancel(render)
    assert (await rooms.renders.wait(render)).state is RenderState.CANCELLED
    assert kept() == 0


async def test_what_another_render_goes_on_with_is_kept(rooms: Studio, kept: Callable[[], int]) -> None:
    first = await begun(rooms, kept, "!keep")
    second = await rooms.renders.create(RenderRequest(spec=spec_of("!keep")))
    await eventually_async(
        lambda: [job.wanted for job in rooms.dispatcher._maker._pool._jobs.values()] == [2]
    )
    await rooms.renders.cancel(first)
    await rooms.renders.wait(first)
    assert kept() == FILES_OF_ONE
    await rooms.renders.cancel(second.id)
    await rooms.renders.wait(second.id)
    assert kept() == 0


async def test_a_scene_that_is_stopped_because_another_failed_can_be_gone_on_with(
    rooms: Studio, kept: Callable[[], int]
) -> None:
    view = await rooms.renders.create(RenderRequest(spec=spec_of("!keep", "!slow 2\nThen", "!fail")))
    ended = await rooms.renders.wait(view.id)
    assert ended.state is RenderState.FAILED
    assert kept() == FILES_OF_ONE


async def test_a_worker_that_is_killed_again_and_again_leaves_its_parts_until_somebody_cancels(
    rooms: Studio, kept: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancel comes between two tries, when there is no worker to tell."""
    pausing = asyncio.Event()

    def wait_s(*_: Any) -> float:
        pausing.set()
        return 3600.0

    monkeypatch.setattr(Retries, "wait_s", wait_s)
    render = await begun(rooms, kept, "!keep killed")
    await asyncio.wait_for(pausing.wait(), 60)
    assert kept() == FILES_OF_ONE
    await rooms.renders.cancel(render)
    assert (await rooms.renders.wait(render)).state is RenderState.CANCELLED
    assert kept() == 0


async def test_a_server_that_stops_keeps_all_and_a_cancel_before_the_next_one_drives_forgets_it(
    rooms: Studio, kept: Callable[[], int]
) -> None:
    render = await begun(rooms, kept, "!keep")
    await rooms.dispatcher.close()
    assert (await rooms.renders.get(render)).state is RenderState.QUEUED
    assert kept() == FILES_OF_ONE
    assert (await rooms.renders.cancel(render)).state is RenderState.CANCELLED
    assert kept() == 0


async def test_a_cancel_that_a_server_did_not_live_to_pass_on_is_made_good_by_the_next(
    rooms: Studio,
    kept: Callable[[], int],
    settings: Settings,
    db: Any,
    events: Any,
    blobs: Any,
    scheduler: LocalScheduler,
) -> None:
    """Two renders of the server that was killed; one of them was cancelled in its last moment."""
    ours, theirs = await begun(rooms, kept, "!keep"), await begun(rooms, kept, "!keep\nother")
    await rooms.dispatcher.close()
    async with db.transaction() as session:
        for render_id, cancelled in ((ours, True), (theirs, False)):
            row = await Renders(session).find(render_id)
            assert row is not None
            row.state, row.cancel_requested = RenderState.RUNNING, cancelled
    assert kept() == 2 * FILES_OF_ONE
    next_one = build_studio(settings, db, events, blobs, scheduler, worker_version="1.0")
    async with next_one.dispatcher:
        assert (await next_one.renders.wait(ours)).state is RenderState.CANCELLED
        assert kept() == FILES_OF_ONE
