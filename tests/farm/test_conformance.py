"""What every scheduler holds; run against each adapter by the fixture `scheduler`."""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import FrameProgress, PreviewFrame, StageStarted

from farm.states import TERMINAL, TRANSITIONS, TaskState
from farm.tasks import TaskInput
from soundstage.errors import NotFound


async def test_a_task_goes_from_queued_to_done_and_its_files_are_in_the_blob_store(
    scheduler: Any, make_task: Any, watched: Any, blobs: Any
) -> None:
    await scheduler.submit(await make_task("a"))
    events = await watched(scheduler, "a")
    states = [state for state, _ in itertools.groupby(event.state for event in events)]
    assert states == [TaskState.QUEUED, TaskState.PLACED, TaskState.RUNNING, TaskState.DONE]
    result = events[-1].result
    assert {file.role for file in result.files} == {"segment", "audio", "words"}
    for file in result.files:
        assert len(await blobs.read(file.sha256)) == file.bytes


async def test_progress_lines_reach_the_watcher_with_growing_numbers(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    await scheduler.submit(await make_task("a", "!slow 1"))
    events = await watched(scheduler, "a")
    assert [e.line.stage for e in events if isinstance(e.line, StageStarted)] == ["speech", "frames"]
    frames = [event.line.done_frames for event in events if isinstance(event.line, FrameProgress)]
    assert frames and frames == sorted(frames) and frames[-1] == 10
    numbers = [event.seq for event in events]
    assert numbers == sorted(set(numbers))


async def test_pictures_reach_the_watcher_and_only_the_last_one_is_kept(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    await scheduler.submit(await make_task("a", "!show 3"))
    async with aclosing(scheduler.watch("a")) as events:
        async for event in events:
            if isinstance(event.line, PreviewFrame):
                break
    assert base64.b64decode(event.line.jpeg).startswith(b"\xff\xd8\xff")
    scenario = await watched(scheduler, "a")
    assert scenario[-1].state is TaskState.DONE
    assert not any(isinstance(event.line, PreviewFrame) for event in await watched(scheduler, "a"))


async def test_a_late_watcher_sees_the_whole_story(scheduler: Any, make_task: Any, watched: Any) -> None:
    await scheduler.submit(await make_task("a"))
    await watched(scheduler, "a")
    again = await watched(scheduler, "a")
    assert again[0].state is TaskState.QUEUED
    assert again[-1].state is TaskState.DONE and again[-1].last


async def test_the_first_submission_of_an_id_wins(scheduler: Any, make_task: Any, watched: Any) -> None:
    await scheduler.submit(await make_task("a", "hello"))
    await scheduler.submit(await make_task("a", "!fail"))
    assert (await watched(scheduler, "a"))[-1].state is TaskState.DONE
    await scheduler.submit(await make_task("a", "!fail"))
    assert (await watched(scheduler, "a"))[-1].state is TaskState.DONE


async def test_a_failure_the_worker_explains_reaches_the_watcher_word_for_word(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    await scheduler.submit(await make_task("a", "!fail"))
    last = (await watched(scheduler, "a"))[-1]
    assert last.state is TaskState.FAILED
    assert (last.failure.code, last.failure.hint) == ("face.not_found", "use another")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("!crash", "worker.crashed"),
        ("!killed", "worker.killed"),
        ("!exit 3", "worker.crashed"),
        ("!exit 0", "worker.no_result"),
        ("!garbage", "worker.no_result"),
        ("!lie", "worker.bad_output"),
        ("!promise", "worker.bad_output"),
        ("!escape", "worker.bad_output"),
    ],
)
async def test_a_worker_that_misbehaves_ends_in_a_clear_failure(
    scheduler: Any, make_task: Any, watched: Any, script: str, code: str
) -> None:
    await scheduler.submit(await make_task("a", script))
    last = (await watched(scheduler, "a"))[-1]
    assert (last.state, last.failure.code) == (TaskState.FAILED, code)
    assert last.failure.message.endswith(".") and last.failure.hint


async def test_a_line_of_forty_megabytes_neither_stops_the_task_nor_stays_in_memory(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    await scheduler.submit(await make_task("a", "!flood"))
    assert (await watched(scheduler, "a"))[-1].state is TaskState.DONE
    assert len(await scheduler.logs("a")) < 200_000


async def test_a_running_task_is_cancelled_within_the_grace_time(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    await scheduler.submit(await make_task("a", "!slow 60"))
    await _until_running(scheduler, "a")
    began = time.monotonic()
    await scheduler.cancel("a")
    last = (await watched(scheduler, "a"))[-1]
    assert (last.state, last.failure.code) == (TaskState.CANCELLED, "render.cancelled")
    assert time.monotonic() - began < 30, "long before its work ends"


async def test_a_worker_that_ignores_sigterm_is_killed_after_the_grace_time(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    await scheduler.submit(await make_task("a", "!deaf"))
    await _until_running(scheduler, "a", frames=True)
    await scheduler.cancel("a")
    assert (await watched(scheduler, "a"))[-1].state is TaskState.CANCELLED


def _parts(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "unfinished").glob("*"))


@pytest.mark.parametrize("how", ["slow", "deaf"])
async def test_a_task_that_is_cancelled_for_good_leaves_nothing_for_a_second_try(
    scheduler: Any, make_task: Any, watched: Any, worker_cache: Path, how: str
) -> None:
    """`deaf`: its worker has to be killed, and cannot do it itself."""
    await scheduler.submit(await make_task("other", "!keep killed", unfinished="other"))
    await watched(scheduler, "other")
    others = _parts(worker_cache)
    assert len(others) == 3, "a worker that is killed leaves its parts, and the list of them"
    await scheduler.submit(await make_task("a", f"!keep {how}", unfinished="scene"))
    await _until_running(scheduler, "a", frames=True)
    assert len(_parts(worker_cache)) == 6
    await scheduler.cancel("a", for_good=True)
    assert (await watched(scheduler, "a"))[-1].state is TaskState.CANCELLED
    await _until(lambda: _parts(worker_cache) == others)


async def test_a_task_that_is_cancelled_otherwise_can_be_gone_on_with(
    scheduler: Any, make_task: Any, watched: Any, worker_cache: Path
) -> None:
    await scheduler.submit(await make_task("a", "!keep", unfinished="scene"))
    await _until_running(scheduler, "a", frames=True)
    await scheduler.cancel("a")
    await watched(scheduler, "a")
    assert len(_parts(worker_cache)) == 3


async def test_a_waiting_task_is_cancelled_at_once_and_never_runs(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    for name in ("a", "b"):
        await scheduler.submit(await make_task(name, "!slow 60"))
    await scheduler.submit(await make_task("c"))
    await scheduler.cancel("c")
    assert [event.state for event in await watched(scheduler, "c")] == [TaskState.QUEUED, TaskState.CANCELLED]


async def test_cancelling_what_has_ended_changes_nothing(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    await scheduler.submit(await make_task("a"))
    await watched(scheduler, "a")
    await scheduler.cancel("a")
    assert (await watched(scheduler, "a"))[-1].state is TaskState.DONE


async def test_a_task_past_its_time_limit_is_stopped_and_says_so(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    await scheduler.submit(await make_task("a", "!slow 60", time_limit_s=0.7))
    last = (await watched(scheduler, "a"))[-1]
    assert (last.state, last.failure.code) == (TaskState.FAILED, "worker.time_limit")


async def test_waiting_is_explained_in_one_sentence(scheduler: Any, make_task: Any) -> None:
    for name in ("a", "b", "c", "d"):
        await scheduler.submit(await make_task(name, "!slow 60"))
    async with asyncio.timeout(60):
        # A farm may still be about to hear of its nodes.
        while await scheduler.explain("d") != "waits: 2 of 2 workers busy, 1 ahead of it":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await _until_running(scheduler, "a", frames=True)
    assert (await scheduler.explain("a")).startswith("runs: frame "), await scheduler.logs("a")


async def test_higher_priority_runs_first_and_equal_priority_in_order(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    # All are submitted while both workers are busy; one of them stays so.
    tasks = [await make_task("short", "!slow 60"), await make_task("long", "!slow 60")]
    tasks += [await make_task("low", priority=-1), await make_task("first"), await make_task("second")]
    tasks += [await make_task("urgent", priority=9)]
    for task in tasks[:2]:
        await scheduler.submit(task)
    await _until_running(scheduler, "long")
    for task in tasks[2:]:
        await scheduler.submit(task)
    await scheduler.cancel("short")
    began = {}
    for name in ("low", "first", "second", "urgent"):
        events = await watched(scheduler, name)
        began[name] = next(event.at for event in events if event.state is TaskState.PLACED)
    assert sorted(began, key=lambda name: began[name]) == ["urgent", "first", "second", "low"]


async def test_a_waiting_task_is_moved_by_another_priority_and_a_running_one_tells_its_node(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    for name in ("short", "long"):
        await scheduler.submit(await make_task(name, "!slow 60"))
    await _until_running(scheduler, "long")
    assert scheduler.node_of("long")
    for name in ("first", "second", "third"):
        await scheduler.submit(await make_task(name))
    assert scheduler.node_of("third") == ""
    # What is unknown or has a worker stays as it is.
    await scheduler.set_priority(["third", "long", "nothing"], 20)
    await scheduler.set_priority(["first"], -20)
    await scheduler.cancel("short")
    began = {}
    for name in ("first", "second", "third"):
        events = await watched(scheduler, name)
        began[name] = next(event.at for event in events if event.state is TaskState.PLACED)
    assert sorted(began, key=lambda name: began[name]) == ["third", "second", "first"]


async def test_the_log_keeps_what_the_worker_said_on_standard_error(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    await scheduler.submit(await make_task("a", "!garbage"))
    await watched(scheduler, "a")
    log = await scheduler.logs("a")
    assert "segment garbage" in log and "Traceback" in log


async def test_inputs_lie_where_the_task_wants_them(
    scheduler: Any, make_task: Any, watched: Any, blobs: Any
) -> None:
    part = await blobs.put_bytes(b"picture of scene one")
    inputs = (TaskInput(part.sha256, "segments/one/segment.mp4"),)
    await scheduler.submit(await make_task("a", kind="assemble", inputs=inputs))
    result = (await watched(scheduler, "a"))[-1].result
    video = next(file for file in result.files if file.role == "video")
    assert (await blobs.read(video.sha256)).endswith(b"film picture of scene one")


async def test_a_missing_input_is_a_failure_with_the_code_of_the_blob_store(
    scheduler: Any, make_task: Any, watched: Any
) -> None:
    inputs = (TaskInput("sha256:" + "1" * 64, "picture"),)
    await scheduler.submit(await make_task("a", inputs=inputs))
    last = (await watched(scheduler, "a"))[-1]
    assert (last.state, last.failure.code) == (TaskState.FAILED, "blob.not_found")


async def test_an_input_path_may_not_leave_the_folder_of_the_task(
    scheduler: Any, make_task: Any, watched: Any, blobs: Any
) -> None:
    blob = await blobs.put_bytes(b"x")
    await scheduler.submit(await make_task("a", inputs=(TaskInput(blob.sha256, "../../evil"),)))
    assert (await watched(scheduler, "a"))[-1].failure.code == "task.bad_path"


async def test_an_unknown_task_is_not_found(scheduler: Any, watched: Any) -> None:
    for ask in (scheduler.explain, scheduler.logs, scheduler.cancel):
        with pytest.raises(NotFound, match="no task"):
            await ask("nobody")
    with pytest.raises(NotFound):
        await watched(scheduler, "nobody")


async def test_close_ends_everything(scheduler: Any, make_task: Any, watched: Any) -> None:
    for name in ("a", "b", "c"):
        await scheduler.submit(await make_task(name, "!slow 60"))
    await _until_running(scheduler, "a")
    await scheduler.close()
    for name in ("a", "b", "c"):
        assert (await watched(scheduler, name))[-1].state is TaskState.CANCELLED


def test_every_state_is_reached_and_the_terminal_ones_are_never_left() -> None:
    reached = {state for following in TRANSITIONS.values() for state in following}
    assert reached | {TaskState.QUEUED} == set(TaskState)
    assert {TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED} == TERMINAL


async def _until_running(scheduler: Any, task_id: str, *, frames: bool = False) -> None:
    async with asyncio.timeout(60):
        async for event in scheduler.watch(task_id):
            if event.state is TaskState.RUNNING and (not frames or isinstance(event.line, FrameProgress)):
                return


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.05)
