"""Each segment is made once: cached, shared by renders that want it at once, remade when it is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from avatar.spec import RenderSpec

from soundstage.errors import Unavailable
from studio.renders.repository import Segments
from studio.renders.schemas import RenderRequest
from studio.renders.states import RenderState

pytestmark = pytest.mark.each_database

SIZE = {"width": 320, "height": 180}


def spec_of(*scripts: str, title: str = "T", **more: Any) -> RenderSpec:
    scenes = [{"id": f"s{number}", "script": script} for number, script in enumerate(scripts)]
    return RenderSpec.model_validate({"title": title, "canvas": SIZE, "scenes": scenes, **more})


async def render_scene(rooms: Any, spec: RenderSpec) -> Any:
    view = await rooms.renders.create(RenderRequest(spec=spec))
    await rooms.renders.wait(view.id)
    return await rooms.renders.detail(view.id)


async def test_an_unchanged_scene_is_not_made_again(rooms: Any) -> None:
    first = await render_scene(rooms, spec_of("one", "two"))
    assert [segment.reused for segment in first.segments] == [False, False]
    second = await render_scene(rooms, spec_of("one", "changed", "two", title="Another title"))
    assert second.state is RenderState.DONE
    assert [segment.reused for segment in second.segments] == [True, False, True]
    assert [segment.attempts for segment in second.segments] == [1, 1, 1]


async def test_another_worker_version_makes_its_own_segments(rooms: Any, new_studio: Any) -> None:
    await render_scene(rooms, spec_of("one"))
    await rooms.dispatcher.close()
    newer = new_studio(worker_version="2.0")
    async with newer.dispatcher:
        assert [segment.reused for segment in (await render_scene(newer, spec_of("one"))).segments] == [False]


async def test_two_renders_of_one_spec_at_once_make_each_segment_once(rooms: Any) -> None:
    spec = spec_of("!slow 0.5", "!slow 0.5\ntwo")
    first, second = await asyncio.gather(render_scene(rooms, spec), render_scene(rooms, spec))
    assert {first.state, second.state} == {RenderState.DONE}
    assert [segment.attempts for segment in first.segments] == [1, 1]
    created = [segment.reused for render in (first, second) for segment in render.segments]
    assert sorted(created) == [False, False, True, True]
    assert set(first.out_files).isdisjoint(second.out_files)


async def test_the_same_scene_twice_in_one_video_is_made_once(rooms: Any) -> None:
    render = await render_scene(rooms, spec_of("again", "again"))
    assert render.state is RenderState.DONE
    assert len({segment.key for segment in render.segments}) == 1
    assert render.segments[0].attempts == 1


async def test_cancelling_one_of_two_renders_leaves_the_shared_segment_to_the_other(
    studio_rooms: Any,
) -> None:
    rooms, spec = studio_rooms, spec_of("!slow 2")
    first = await rooms.renders.create(RenderRequest(spec=spec))
    second = await rooms.renders.create(RenderRequest(spec=spec))
    # Both wait already: neither has a start in which the segment could be ready before the other asks.
    await rooms.dispatcher.start()
    async with asyncio.timeout(60):
        while not _has_two_users(rooms):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    await rooms.renders.cancel(first.id)
    assert (await rooms.renders.wait(first.id)).state is RenderState.CANCELLED
    ended = await rooms.renders.wait(second.id)
    assert ended.state is RenderState.DONE
    assert (await rooms.renders.detail(second.id)).segments[0].attempts == 1


def _has_two_users(rooms: Any) -> bool:
    return [job.users for job in rooms.dispatcher._maker.pool._jobs.values()] == [2]


async def test_a_failing_scene_ends_the_other_scenes_of_its_render(rooms: Any) -> None:
    render = await render_scene(rooms, spec_of("!slow 60", "!fail"))
    assert (render.state, render.error.code) == (RenderState.FAILED, "face.not_found")
    assert [segment.state for segment in render.segments] == [RenderState.CANCELLED, RenderState.FAILED]


async def test_both_renders_of_a_failing_segment_fail_with_its_reason(rooms: Any) -> None:
    spec = spec_of("!fail")
    first, second = await asyncio.gather(render_scene(rooms, spec), render_scene(rooms, spec))
    assert first.error.code == second.error.code == "face.not_found"


async def test_a_segment_is_done_though_its_beginning_could_not_be_written(
    rooms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_key: str) -> None:
        raise Unavailable("database.busy", "Another process writes.", "Try again.")

    monkeypatch.setattr(rooms.dispatcher._maker.pool, "_mark_running", refuse)
    render = await render_scene(rooms, spec_of("one"))
    assert (render.state, render.segments[0].state) == (RenderState.DONE, RenderState.DONE)


@pytest.mark.parametrize("lost", [0, 2])
async def test_a_segment_whose_files_are_gone_is_made_again(
    rooms: Any, blobs: Any, db: Any, lost: int
) -> None:
    first = await render_scene(rooms, spec_of("one"))
    async with db.session() as session:
        segment = await Segments(session).find(first.segments[0].key)
    assert segment is not None and segment.result is not None
    await blobs.delete(segment.result["files"][lost]["sha256"])
    again = await render_scene(rooms, spec_of("one"))
    assert again.state is RenderState.DONE
    assert again.segments[0].reused is False and again.segments[0].attempts == 2
