"""The life of a render, from the request to files, through everything that can go wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import MediaRef, RenderSpec, Scene
from sentences import SentenceSnapshot
from waiting import eventually_async

from farm.local import LocalScheduler
from soundstage.background import ProcessLock
from soundstage.errors import Conflict, Invalid, NotFound, Unavailable
from soundstage.telemetry import trace
from studio.renders.journal import RenderJournal, stream_of
from studio.renders.media import media_in, replace_paths
from studio.renders.schemas import Progress, RenderRequest, RenderView
from studio.renders.states import (
    ACTIVE,
    RENDER_TRANSITIONS,
    SEGMENT_TRANSITIONS,
    TERMINAL,
    RenderState,
)
from studio.wiring import worker_cache


async def states_of(events: Any, render_id: str) -> list[str]:
    return [e.data["state"] for e in await events.read(stream_of(render_id)) if e.kind == "render.state"]


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


async def until_running(rooms: Any, render_id: str) -> None:
    async def running() -> bool:
        return bool((await rooms.renders.get(render_id)).state == RenderState.RUNNING)

    await eventually_async(running)


async def test_a_sentence_becomes_files_with_the_name_of_its_title(
    rooms: Any, render_to_end: Any, settings: Any, events: Any
) -> None:
    view: RenderView = await render_to_end(rooms, "Hello there, World!")
    assert view.state is RenderState.DONE
    stem = f"hello-there-world-{view.id[-6:]}"
    names = {f"{stem}{end}" for end in (".mp4", ".vtt", ".srt", ".png", ".provenance.json")}
    assert set(view.out_files) == names == {path.name for path in settings.out_dir.iterdir()}
    output, path = await rooms.renders.open_output(view.id, "video")
    assert path.read_bytes() == (settings.out_dir / f"{stem}.mp4").read_bytes()
    assert output.media_type == "video/mp4" and output.bytes == path.stat().st_size
    assert view.duration_ms == 400 and view.personas == ["nova"]
    assert await states_of(events, view.id) == ["placed", "running", "done"]


async def test_progress_adds_up_and_every_event_carries_the_trace(rooms: Any, ask: Any, events: Any) -> None:
    with trace("ab" * 16):
        view = await rooms.renders.create(ask("!slow 1.2"))
    view = await rooms.renders.wait(view.id)
    seen = await events.read(stream_of(view.id))
    assert {event.trace_id for event in seen} == {"ab" * 16} == {view.trace_id}
    frames = [event.data["frames_done"] for event in seen if event.kind == "render.progress"]
    assert frames == sorted(frames) and len(set(frames)) > 1
    assert (view.progress.stage, view.progress.frames_done, view.progress.frames_total) == ("done", 10, 10)


async def test_warnings_and_lost_faces_are_told(rooms: Any, render_to_end: Any) -> None:
    view = await render_to_end(rooms, "!warn")
    assert [(notice.code, notice.scene) for notice in view.warnings] == [("speech.markup", "scene-1")]
    lost = await render_to_end(rooms, "!lost")
    assert lost.lost_face_frames == [(2, 4)]


async def test_what_drew_the_face_and_how_much_of_a_card_it_took_is_told_also_of_a_segment_used_again(
    rooms: Any, render_to_end: Any
) -> None:
    for view in (
        await render_to_end(rooms, "!drawn-by latentsync"),
        await render_to_end(rooms, "!drawn-by latentsync"),
    ):
        (use,) = (await rooms.renders.get(view.id)).progress.engines
        assert (use.scene, use.engine, use.asked, use.mode) == ("scene-1", "latentsync", "auto", "middle")
    assert (await render_to_end(rooms, "hello")).progress.engines == []


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("!fail", "face.not_found"),
        ("!crash", "worker.crashed"),
        ("!killed", "worker.killed"),
        ("!garbage", "worker.no_result"),
        ("!lie", "worker.bad_output"),
        ("!assemble-fail", "face.not_found"),
        ("!assemble-promise", "worker.bad_output"),
    ],
)
async def test_a_worker_that_misbehaves_fails_the_render_with_code_sentence_and_hint(
    rooms: Any, render_to_end: Any, settings: Any, script: str, code: str
) -> None:
    view = await render_to_end(rooms, script)
    assert (view.state, view.error.code) == (RenderState.FAILED, code)
    assert view.error.message and view.error.hint
    assert files_in(settings.out_dir) == [] and files_in(settings.state_dir / "work") == []
    assert view.outputs == [] and view.out_files == []


async def test_a_failed_render_keeps_the_end_of_the_workers_log(rooms: Any, render_to_end: Any) -> None:
    failed = await render_to_end(rooms, "!garbage")
    log = await rooms.renders.log(failed.id)
    assert "segment garbage" in log and "Traceback" in log
    assert await rooms.renders.log((await render_to_end(rooms, "fine")).id) == ""


async def test_what_crashes_twice_in_the_same_way_is_not_tried_a_third_time(
    rooms: Any, render_to_end: Any, settings: Any
) -> None:
    view = await render_to_end(rooms, "!crash count")
    assert view.error.code == "worker.crashed" and "another format" in view.error.hint
    assert (worker_cache(settings) / "crashed").read_text() == "x" * 2


async def test_broken_input_is_tried_once(rooms: Any, render_to_end: Any, settings: Any) -> None:
    assert (await render_to_end(rooms, "!fail")).error.code == "face.not_found"
    assert (worker_cache(settings) / "failed").read_text() == "x"


async def test_a_worker_that_crashed_once_is_tried_again(rooms: Any, render_to_end: Any) -> None:
    assert (await render_to_end(rooms, "!crash once")).state is RenderState.DONE


@pytest.mark.parametrize("code", ["gpu.lost", "gpu.not_opened"])
async def test_a_card_that_vanishes_puts_the_segment_back_into_the_queue_before_the_render_fails(
    rooms: Any, render_to_end: Any, scheduler: Any, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    queued, submit = list[str](), scheduler.submit

    async def count_calls(task: Any) -> Any:
        queued.append(task.id)
        return await submit(task)

    monkeypatch.setattr(scheduler, "submit", count_calls)
    view = await render_to_end(rooms, f"!blame {code}")
    assert [name.rpartition(".")[2] for name in queued] == ["1", "2", "3"]
    assert (view.state, view.error.code) == (RenderState.FAILED, code)


async def test_a_failed_render_can_be_tried_again_and_tells_its_new_end(
    rooms: Any, render_to_end: Any, settings: Any
) -> None:
    first = await render_to_end(rooms, "!needs mending")
    assert (first.state, first.error.code) == (RenderState.FAILED, "face.not_found")
    (settings.state_dir / "cache" / "mending").touch()
    again = await rooms.renders.retry(first.id)
    assert (again.state, again.attempt, again.error) == (RenderState.QUEUED, 2, None)
    assert (await rooms.renders.wait(first.id)).state is RenderState.DONE
    with pytest.raises(Conflict, match="only a failed"):
        await rooms.renders.retry(first.id)


async def test_a_waiting_render_is_cancelled_at_once(studio_rooms: Any, ask: Any) -> None:
    view = await studio_rooms.renders.create(ask())
    assert (await studio_rooms.renders.cancel(view.id)).state is RenderState.CANCELLED
    assert (await studio_rooms.renders.cancel(view.id)).state is RenderState.CANCELLED


async def test_a_running_render_is_cancelled_and_nothing_partial_is_left(
    rooms: Any, ask: Any, settings: Any
) -> None:
    view = await rooms.renders.create(ask("!slow 60"))
    await until_running(rooms, view.id)
    assert (await rooms.renders.cancel(view.id)).cancel_requested
    ended = await rooms.renders.wait(view.id)
    assert (ended.state, ended.error.code) == (RenderState.CANCELLED, "render.cancelled")
    assert not ended.cancel_requested
    assert files_in(settings.out_dir) == [] and files_in(settings.state_dir / "work") == []


async def test_a_render_is_cancelled_while_it_is_assembled_and_its_segments_stay(
    rooms: Any, ask: Any
) -> None:
    view = await rooms.renders.create(ask("!assemble-slow 60"))

    async def assembling() -> bool:
        return any(e.kind == "render.segment" for e in await rooms.events.read(stream_of(view.id)))

    await eventually_async(assembling)
    await rooms.renders.cancel(view.id)
    assert (await rooms.renders.wait(view.id)).state is RenderState.CANCELLED
    detail = await rooms.renders.detail(view.id)
    assert [segment.state for segment in detail.segments] == [RenderState.DONE]


async def test_a_finished_render_cannot_be_cancelled(rooms: Any, render_to_end: Any) -> None:
    view = await render_to_end(rooms)
    with pytest.raises(Conflict, match="done already"):
        await rooms.renders.cancel(view.id)


async def test_a_cancelled_render_can_be_tried_again(rooms: Any, ask: Any, studio_rooms: Any) -> None:
    view = await rooms.renders.create(ask("!slow 3"))
    await rooms.renders.cancel(view.id)
    assert (await rooms.renders.wait(view.id)).state is RenderState.CANCELLED
    await rooms.renders.retry(view.id)
    assert (await rooms.renders.wait(view.id)).state is RenderState.DONE


async def test_a_render_is_deleted_with_its_files_but_not_while_it_runs(
    rooms: Any, render_to_end: Any, ask: Any, settings: Any
) -> None:
    running = await rooms.renders.create(ask("!slow 60"))
    with pytest.raises(Conflict, match="not finished yet"):
        await rooms.renders.delete(running.id)
    await rooms.renders.cancel(running.id)
    view = await render_to_end(rooms)
    foreign = settings.out_dir / "my own film.mp4"
    foreign.write_bytes(b"mine")
    await rooms.renders.delete(view.id)
    assert files_in(settings.out_dir) == [foreign]
    with pytest.raises(NotFound):
        await rooms.renders.get(view.id)
    last = (await rooms.events.read(stream_of(view.id)))[-1]
    assert (last.kind, last.data["id"]) == ("render.deleted", view.id), "open pages hear of it"


async def test_a_preview_is_one_task_and_gets_no_name_in_out_dir(
    rooms: Any, ask: Any, settings: Any, events: Any
) -> None:
    view = await rooms.renders.create(ask("hello", preview=True))
    ended = await rooms.renders.wait(view.id)
    assert (ended.kind, ended.state) == ("preview", RenderState.DONE)
    assert await rooms.renders.list() == [], "it is no video"
    states = [one.data for one in await events.read(stream_of(view.id)) if one.kind == "render.state"]
    assert {one["kind"] for one in states} == {"preview"}, "pages tell it apart"
    assert [output.role for output in ended.outputs] == ["video"]
    assert files_in(settings.out_dir) == []
    with pytest.raises(Invalid, match="no scene 'nine'"):
        await rooms.renders.create(ask("hello", preview=True, scene="nine"))


async def test_a_render_is_found_by_the_end_of_its_id(studio_rooms: Any, ask: Any) -> None:
    view = await studio_rooms.renders.create(ask())
    assert (await studio_rooms.renders.get(view.id[-6:])).id == view.id
    with pytest.raises(NotFound, match="no render 'zz'"):
        await studio_rooms.renders.get("zz")
    with pytest.raises(NotFound):
        await studio_rooms.renders.get("%%%%%%")


async def test_a_waiting_render_says_how_many_are_ahead_of_it_or_that_nobody_drives(
    studio_rooms: Any, ask: Any, settings: Any, snapshot: SentenceSnapshot
) -> None:
    await studio_rooms.renders.create(ask("one"))
    second = await studio_rooms.renders.create(ask("two"))
    urgent = await studio_rooms.renders.create(ask("three", priority=5))
    assert await studio_rooms.renders.explain(second.id) == snapshot("no_dispatcher")
    driver = ProcessLock(settings.state_dir / "dispatcher.lock")
    assert await driver.acquire()
    assert await studio_rooms.renders.explain(second.id) == snapshot("two_ahead")
    assert await studio_rooms.renders.explain(urgent.id) == snapshot("next")
    await driver.release()


async def test_a_render_that_waits_to_be_joined_says_so(rooms: Any, ask: Any) -> None:
    # Its frames must not be drawn before both others stand in the queue, also on a busy machine.
    first = await rooms.renders.create(ask("!slow 5"))
    others = [await rooms.renders.create(ask(f"!slow {60 + n}", priority=5)) for n in range(2)]

    async def waits_to_be_joined() -> bool:
        return (await rooms.renders.explain(first.id)).startswith("waits: all frames are drawn, to be joined")

    async with asyncio.timeout(60):
        while not await waits_to_be_joined():  # noqa: ASYNC110 - the scheduler makes it true
            await asyncio.sleep(0.05)
    view = await rooms.renders.get(first.id)
    assert view.state is RenderState.RUNNING and view.progress.stage == "assemble"
    assert "2 of 2 workers busy" in view.waits
    assert "frame" not in view.sentence.removeprefix("running: all frames are drawn")
    for other in others:
        await rooms.renders.cancel(other.id)
    assert (await rooms.renders.wait(first.id)).state is RenderState.DONE


async def test_a_report_that_fails_in_a_way_nobody_thought_of_is_not_the_last(
    rooms: Any, render_to_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = RenderJournal.progress, []

    async def once_wrong(
        journal: RenderJournal, render_id: str, now: Progress, notices: Any, *rest: Any
    ) -> None:
        if notices and not failed:
            failed.append(notices)
            raise KeyError("a defect")
        await real(journal, render_id, now, notices, *rest)

    monkeypatch.setattr(RenderJournal, "progress", once_wrong)
    view = await render_to_end(rooms, "!warn")
    assert failed and view.state == "done"
    assert [notice.code for notice in view.warnings] == ["speech.markup"], (
        "what it could not tell it tells next"
    )


async def test_a_placed_render_says_that_the_workers_are_busy(rooms: Any, ask: Any) -> None:
    for number in range(2):
        await until_running(rooms, (await rooms.renders.create(ask(f"!slow 60\n{number}"))).id)
    waiting = await rooms.renders.create(ask("me too"))

    async def record_explain() -> bool:
        return "2 of 2 workers busy, 0 ahead" in await rooms.renders.explain(waiting.id)

    await eventually_async(record_explain)


@pytest.mark.parametrize("sentence", ["runs: the worker is getting ready", "ended: done"])
async def test_a_task_that_runs_or_has_ended_is_not_the_reason_why_a_render_waits(
    rooms: Any, ask: Any, monkeypatch: pytest.MonkeyPatch, sentence: str
) -> None:
    for number in range(2):
        await until_running(rooms, (await rooms.renders.create(ask(f"!slow 600\n{number}"))).id)
    waiting = await rooms.renders.create(ask("me too"))
    real, reasons = RenderJournal.progress, []

    async def waits_for_a_worker() -> bool:
        return "2 of 2 workers busy" in (await rooms.renders.get(waiting.id)).waits

    async def explain(scheduler: LocalScheduler, task_id: str) -> str:
        return sentence

    async def progress(
        journal: RenderJournal, render_id: str, now: Progress, notices: Any, waits: str
    ) -> None:
        if render_id == waiting.id:
            reasons.append(waits)
        await real(journal, render_id, now, notices, waits)

    await eventually_async(waits_for_a_worker)
    monkeypatch.setattr(RenderJournal, "progress", progress)
    monkeypatch.setattr(LocalScheduler, "explain", explain)
    await eventually_async(lambda: reasons)
    assert reasons[0] == ""


async def test_the_queue_has_an_end(studio_rooms: Any, ask: Any, settings: Any) -> None:
    for number in range(settings.limits.queued_renders):
        await studio_rooms.renders.create(ask(f"number {number}"))
    with pytest.raises(Unavailable, match="30 renders wait already"):
        await studio_rooms.renders.create(ask("one more"))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"script": "  \n "}, "script.empty"),
        ({"script": ""}, "script.empty"),
        ({"script": "hi", "persona": "nobody"}, "persona.not_found"),
        ({"project": "nothing"}, "project.not_found"),
    ],
)
async def test_what_cannot_be_made_is_refused_with_a_code(
    studio_rooms: Any, fields: dict[str, Any], code: str
) -> None:
    with pytest.raises((Invalid, NotFound)) as caught:
        await studio_rooms.renders.create(RenderRequest(**fields))
    assert caught.value.code == code and caught.value.hint


async def test_a_script_of_a_hundred_thousand_characters_becomes_scenes_and_one_scene_has_its_limit(
    studio_rooms: Any, ask: Any
) -> None:
    long = "This is one of many sentences. " * 1000
    view = await studio_rooms.renders.create(ask(long))
    detail = await studio_rooms.renders.detail(view.id)
    assert isinstance(detail.spec, RenderSpec) and len(detail.spec.scenes) == 11
    assert " ".join(scene.script or "" for scene in detail.spec.scenes) == long.strip()
    whole = RenderSpec(scenes=(Scene(id="one", script=long),))
    with pytest.raises(Invalid) as caught:
        await studio_rooms.renders.create(RenderRequest(spec=whole))
    assert caught.value.code == "script.too_long"


async def test_emoji_and_right_to_left_titles_still_give_plain_file_names(
    rooms: Any, render_to_end: Any, settings: Any
) -> None:
    view = await render_to_end(rooms, "שלום 🎬 ../../etc/passwd; rm -rf $HOME")
    assert view.state is RenderState.DONE
    assert sorted(path.name for path in settings.out_dir.iterdir()) == sorted(view.out_files)
    assert all(name.startswith("etc-passwd-rm-rf-home-") for name in view.out_files)


async def test_files_by_path_are_refused_and_unknown_hashes_too(studio_rooms: Any) -> None:
    for audio, code in (
        ({"path": "/etc/passwd"}, "media.path_refused"),
        ({"path": "/etc/passwd", "sha256": "sha256:" + "0" * 64}, "media.path_refused"),
        ({"sha256": "sha256:" + "0" * 64}, "media.not_found"),
    ):
        with pytest.raises((Invalid, NotFound)) as caught:
            await studio_rooms.renders.create(RenderRequest.model_validate({"audio": audio}))
        assert caught.value.code == code


async def test_every_file_that_a_spec_names_is_replaced_by_what_was_stored(tmp_path: Path) -> None:
    seen: list[str] = []
    for name in ("voice.wav", "face.jpg", "nod.json"):
        (tmp_path / name).write_bytes(b"x")
    face = {"kind": "photo", "image": {"path": "face.jpg"}, "driving": {"path": "nod.json"}}
    scenes = [
        {"id": "one", "audio": {"path": "voice.wav"}},
        {"id": "two", "script": "Hello.", "face": {**face, "consent": None}},
    ]
    spec = RenderSpec.model_validate({"scenes": scenes})

    async def store(path: Path) -> MediaRef:
        seen.append(path.parent.name)
        return MediaRef(sha256="sha256:" + "0" * 64)

    stored = await replace_paths(spec, tmp_path, store)
    found = [ref for _, ref in media_in(stored)]
    assert sorted(str(ref.name) for ref in found) == ["face.jpg", "nod.json", "voice.wav"]
    assert set(seen) == {tmp_path.name}
    assert all(ref.path is None and ref.sha256 is not None for ref in found)
    (tmp_path / "nod.json").unlink()
    with pytest.raises(NotFound, match="no file nod"):
        await replace_paths(spec, tmp_path, store)


def test_transitions_reach_every_state_and_forbid_the_rest() -> None:
    for table in (RENDER_TRANSITIONS, SEGMENT_TRANSITIONS):
        assert set(table) == set(RenderState)
        assert {state for following in table.values() for state in following} == set(RenderState)
    assert TERMINAL | ACTIVE | {RenderState.QUEUED} == set(RenderState)
    with pytest.raises(Conflict, match="done cannot become running"):
        RENDER_TRANSITIONS.move(RenderState.DONE, RenderState.RUNNING)
