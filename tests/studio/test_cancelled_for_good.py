"""Who cancels wants nothing kept for a second try; a server that stops and a worker that is lost do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from avatar.spec import RenderSpec
from waiting import eventually_async

from farm.placement import Retries
from soundstage.settings import Settings
from studio.renders.repository import Renders
from studio.renders.schemas import RenderRequest
from studio.renders.states import RenderState
from studio.wiring import Studio, worker_cache

FILES_OF_ONE = 3
"""A part, half of another, and the list of both; see tests/farm/stand_in.py."""


def spec_of(*scripts: str) -> RenderSpec:
    scenes = [{"id": f"s{number}", "script": script} for number, script in enumerate(scripts)]
    return RenderSpec.model_validate({"canvas": {"width": 320, "height": 180}, "scenes": scenes})


@pytest.fixture
def cache_files(settings: Settings) -> Callable[[], int]:
    """How many files of unfinished work lie in the worker's cache."""
    folder = worker_cache(settings) / "unfinished"
    return lambda: sum(1 for _ in folder.glob("*"))


async def begin(rooms: Studio, cache_files: Callable[[], int], *scripts: str) -> str:
    """The id of a render that is made now and keeps something."""
    before = cache_files()
    view = await rooms.renders.create(RenderRequest(spec=spec_of(*scripts)))
    await eventually_async(lambda: cache_files() == before + FILES_OF_ONE)
    return view.id


@pytest.mark.parametrize("how", ["slow", "deaf"])
async def test_a_cancelled_render_leaves_nothing_for_a_second_try(
    rooms: Studio, cache_files: Callable[[], int], how: str
) -> None:
    render = await begin(rooms, cache_files, f"!keep {how}")
    await rooms.renders.cancel(render)
    assert (await rooms.renders.wait(render)).state is RenderState.CANCELLED
    assert cache_files() == 0


async def test_what_another_render_goes_on_with_is_kept(
    rooms: Studio, cache_files: Callable[[], int]
) -> None:
    first = await begin(rooms, cache_files, "!keep")
    second = await rooms.renders.create(RenderRequest(spec=spec_of("!keep")))
    await eventually_async(lambda: [job.users for job in rooms.dispatcher._maker.pool._jobs.values()] == [2])
    await rooms.renders.cancel(first)
    await rooms.renders.wait(first)
    assert cache_files() == FILES_OF_ONE
    await rooms.renders.cancel(second.id)
    await rooms.renders.wait(second.id)
    assert cache_files() == 0


async def test_a_scene_that_is_stopped_because_another_failed_can_be_gone_on_with(
    rooms: Studio, cache_files: Callable[[], int]
) -> None:
    view = await rooms.renders.create(RenderRequest(spec=spec_of("!keep", "!slow 2\nThen", "!fail")))
    ended = await rooms.renders.wait(view.id)
    assert ended.state is RenderState.FAILED
    assert cache_files() == FILES_OF_ONE


async def test_a_worker_that_is_killed_again_and_again_leaves_its_parts_until_somebody_cancels(
    rooms: Studio, cache_files: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancel comes between two tries, when there is no worker to tell."""
    pausing = asyncio.Event()

    def wait_s(*_: Any) -> float:
        pausing.set()
        return 3600.0

    monkeypatch.setattr(Retries, "wait_s", wait_s)
    render = await begin(rooms, cache_files, "!keep killed")
    await asyncio.wait_for(pausing.wait(), 60)
    assert cache_files() == FILES_OF_ONE
    await rooms.renders.cancel(render)
    assert (await rooms.renders.wait(render)).state is RenderState.CANCELLED
    assert cache_files() == 0


async def test_a_server_that_stops_keeps_all_and_a_cancel_before_the_next_one_drives_forgets_it(
    rooms: Studio, cache_files: Callable[[], int]
) -> None:
    render = await begin(rooms, cache_files, "!keep")
    await rooms.dispatcher.close()
    assert (await rooms.renders.get(render)).state is RenderState.QUEUED
    assert cache_files() == FILES_OF_ONE
    assert (await rooms.renders.cancel(render)).state is RenderState.CANCELLED
    assert cache_files() == 0


async def test_a_cancel_that_a_server_did_not_live_to_pass_on_is_made_good_by_the_next(
    rooms: Studio, cache_files: Callable[[], int], db: Any, new_studio: Any
) -> None:
    """Two renders of the server that was killed; one of them was cancelled in its last moment."""
    ours, theirs = await begin(rooms, cache_files, "!keep"), await begin(rooms, cache_files, "!keep\nother")
    await rooms.dispatcher.close()
    async with db.transaction() as session:
        for render_id, cancelled in ((ours, True), (theirs, False)):
            row = await Renders(session).find(render_id)
            assert row is not None
            row.state, row.cancel_requested = RenderState.RUNNING, cancelled
    assert cache_files() == 2 * FILES_OF_ONE
    next_one = new_studio()
    async with next_one.dispatcher:
        assert (await next_one.renders.wait(ours)).state is RenderState.CANCELLED
        assert cache_files() == FILES_OF_ONE
