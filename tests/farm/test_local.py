"""The local pool: what only processes on this machine can show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from metric_values import metric_value
from sentences import SentenceSnapshot
from waiting import eventually, eventually_async

from farm.local import LocalScheduler, orphans
from farm.local.commands import worker_arguments, worker_environment
from farm.local.scheduler import TaskQueue
from farm.local.workspace import Workspace, sweep
from farm.states import TaskState
from farm.tasks import SegmentTask
from farm.worker_output import LogTail
from soundstage.blobs import BlobStore


def alive(pid: int) -> bool:
    return orphans.start_time(pid) is not None


async def log_has(pool: LocalScheduler, task_id: str, text: str) -> bool:
    return text in await pool.logs(task_id)


async def has_processes(record: orphans.WorkerRecord, number: int) -> bool:
    return len(orphans.find_processes(record)) == number


def records_in(work_dir: Path) -> list[orphans.WorkerRecord | None]:
    return [orphans.read_record(path) for path in work_dir.glob("*/*/worker.json")]


async def record_in(work_dir: Path) -> orphans.WorkerRecord:
    """The pid file of the one worker that runs."""

    found: list[orphans.WorkerRecord | None] = []

    async def there() -> bool:
        found[:] = records_in(work_dir)
        return any(found)

    await eventually_async(there)
    assert found[0] is not None
    return found[0]


async def test_no_more_workers_run_than_allowed(
    blobs: Any, local_options: Any, make_task: Any, watched: Any
) -> None:
    pool = LocalScheduler(blobs, replace(local_options, concurrency=2))
    await pool.start()
    for number in range(5):
        await pool.submit(await make_task(f"t{number}", "!slow 0.3"))
    spans = []
    for number in range(5):
        events = await watched(pool, f"t{number}")
        spans.append((next(e.at for e in events if e.state is TaskState.PLACED), events[-1].at))
    busiest = max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)
    assert busiest == 2
    await pool.close()


async def test_what_a_person_waits_for_does_not_wait_for_films(
    blobs: Any, local_options: Any, make_task: Any, watched: Any
) -> None:
    pool = LocalScheduler(blobs, replace(local_options, concurrency=1))
    await pool.start()
    await pool.submit(await make_task("film", "!slow 60"))
    await pool.submit(await make_task("next film", "hello", priority=50))
    await pool.submit(await make_task("still", "hello", kind="still", priority=150))
    await pool.submit(await make_task("other still", "hello", kind="still", priority=150))
    await pool.submit(await make_task("preview", "hello", kind="preview", priority=140))
    for name in ("still", "other still", "preview"):
        assert (await watched(pool, name))[-1].last
    assert "1 of 1 workers busy" in await pool.explain("next film")
    await pool.close()


async def test_a_task_whose_turn_has_come_but_that_has_not_begun_is_explained(
    blobs: Any, local_options: Any, make_task: Any, snapshot: SentenceSnapshot
) -> None:
    pool = LocalScheduler(blobs, local_options)
    await pool.start()
    task = await make_task("a", "!slow 60")
    # Nothing here waits for anything, so its worker has had no moment to begin.
    await pool.submit(task)
    assert await pool.explain("a") == snapshot("worker_starts")
    assert metric_value("tasks", state="queued") == 1
    await pool.close()
    assert metric_value("tasks") == 0


async def test_nothing_is_left_of_a_task_but_its_blobs(
    blobs: Any, local_options: Any, make_task: Any, watched: Any
) -> None:
    pool = LocalScheduler(blobs, local_options)
    await pool.start()
    for name, script in (("good", "hello"), ("bad", "!crash"), ("long", "!slow 60")):
        await pool.submit(await make_task(name, script))
    await watched(pool, "good")
    await watched(pool, "bad")
    await pool.cancel("long")
    await watched(pool, "long")
    assert [path for path in local_options.work_dir.rglob("*") if path.is_file()] == []
    await pool.close()
    assert list(local_options.work_dir.iterdir()) == []


async def test_a_child_that_the_worker_leaves_behind_is_ended(
    blobs: Any, local_options: Any, make_task: Any, watched: Any
) -> None:
    pool = LocalScheduler(blobs, local_options)
    await pool.start()
    await pool.submit(await make_task("a", "!family 2"))
    record = await record_in(local_options.work_dir)
    last = (await watched(pool, "a"))[-1]
    assert last.state is TaskState.DONE
    assert orphans.find_processes(record) == []
    await pool.close()


async def test_cancelling_ends_the_whole_process_group(
    blobs: Any, local_options: Any, make_task: Any, watched: Any
) -> None:
    pool = LocalScheduler(blobs, local_options)
    await pool.start()
    await pool.submit(await make_task("a", "!family 60"))
    record = await record_in(local_options.work_dir)
    await eventually_async(lambda: has_processes(record, 2))
    await pool.cancel("a")
    await watched(pool, "a")
    assert orphans.find_processes(record) == []
    await pool.close()


async def test_the_worker_sees_no_variables_of_ours_but_the_plain_ones(
    blobs: Any, local_options: Any, make_task: Any, watched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDSTAGE_API_KEY_HASHES", "secret")
    monkeypatch.setenv("TTS_KEY", "for the worker")
    pool = LocalScheduler(blobs, replace(local_options, passed_variables=("TTS_KEY",)))
    await pool.start()
    await pool.submit(await make_task("a"))
    result = (await watched(pool, "a"))[-1].result
    words = next(file for file in result.files if file.role == "words")
    environment = json.loads(await blobs.read(words.sha256))
    assert environment["TTS_KEY"] == "for the worker"
    assert "secret" not in json.dumps(environment)
    await pool.close()


async def test_a_worker_program_that_is_not_there_is_named(
    blobs: Any, local_options: Any, make_task: Any, watched: Any
) -> None:
    pool = LocalScheduler(blobs, replace(local_options, command=("no-such-program",)))
    await pool.start()
    await pool.submit(await make_task("a"))
    last = (await watched(pool, "a"))[-1]
    assert last.failure.code == "worker.not_found" and "no-such-program" in last.failure.message
    await pool.close()


async def test_a_worker_ended_from_outside_is_not_taken_for_cancelled(
    blobs: Any, local_options: Any, make_task: Any, watched: Any
) -> None:
    pool = LocalScheduler(blobs, local_options)
    await pool.start()
    await pool.submit(await make_task("a", "!slow 60"))
    await eventually_async(lambda: log_has(pool, "a", "slow"))
    record = await record_in(local_options.work_dir)
    os.kill(record.pid, signal.SIGTERM)
    last = (await watched(pool, "a"))[-1]
    assert (last.state, last.failure.code) == (TaskState.FAILED, "worker.killed")
    await pool.close()


async def test_a_full_store_fails_the_task_and_leaves_nothing(
    tmp_path: Path, local_options: Any, make_task: Any, watched: Any
) -> None:
    small = BlobStore.open(tmp_path / "blobs", quota_mib=1)
    pool = LocalScheduler(small, local_options)
    await pool.start()
    await pool.submit(await make_task("a", f"!large {2 << 20}"))
    last = (await watched(pool, "a"))[-1]
    assert (last.state, last.failure.code) == (TaskState.FAILED, "blobs.quota_exceeded")
    assert [path for path in local_options.work_dir.rglob("*") if path.is_file()] == []
    await pool.close()


CONTROL = """
import asyncio, json, sys
from pathlib import Path
from farm.local import LocalOptions, LocalScheduler
from farm.tasks import SegmentTask
from soundstage.blobs import BlobStore
from soundstage.blobs import BlobStore

async def main(root, stand_in):
    blobs = BlobStore.open(root / "blobs")
    spec = {"scenes": [{"id": "one", "script": "!family 600"}]}
    blob = await blobs.put_bytes(json.dumps(spec).encode())
    options = LocalOptions((sys.executable, "-I", "-S", stand_in), root / "work", root / "cache")
    pool = LocalScheduler(blobs, options)
    await pool.start()
    await pool.submit(SegmentTask("a", "segment", blob.sha256, "one"))
    async for event in pool.watch("a"):
        print(event.seq, flush=True)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def test_after_kill_9_of_the_control_process_the_worker_dies_and_the_next_start_sweeps_the_rest(
    tmp_path: Path,
) -> None:
    stand_in = Path(__file__).with_name("stand_in.py")
    control = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CONTROL), str(tmp_path), str(stand_in)],
        stdout=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    work = tmp_path / "work"
    eventually(lambda: any(work.glob("*/*/worker.json")))
    record = orphans.read_record(next(work.glob("*/*/worker.json")))
    assert record is not None
    eventually(lambda: len(orphans.find_processes(record)) == 2)
    assert sweep(work) == [], "the folder of a living control process is not touched"
    control.kill()
    control.wait()
    eventually(lambda: not alive(record.pid))
    assert len(orphans.find_processes(record)) == 1, "the grandchild outlives the worker"
    assert len(sweep(work)) == 1
    eventually(lambda: orphans.find_processes(record) == [])
    assert list(work.iterdir()) == []


def test_a_stranger_with_the_number_of_a_dead_worker_is_never_killed(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        started = orphans.start_time(stranger.pid)
        assert started is not None
        folder = tmp_path / "1-dead" / "000001"
        folder.mkdir(parents=True)
        record = orphans.WorkerRecord(stranger.pid, str(int(started) - 1), "its mark")
        orphans.write_record(folder / "worker.json", record)
        assert sweep(tmp_path) == ["1-dead"]
        time.sleep(0.2)
        assert stranger.poll() is None
        orphans.end_processes(orphans.WorkerRecord(stranger.pid, started, "its mark"))
        assert stranger.wait(60) == -signal.SIGKILL
    finally:
        stranger.kill()
        stranger.wait()


def test_a_broken_pid_file_stops_no_sweep(tmp_path: Path) -> None:
    folder = tmp_path / "1-dead" / "000001"
    folder.mkdir(parents=True)
    (folder / "worker.json").write_text('{"pid": "half')
    assert sweep(tmp_path) == ["1-dead"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_worker_runs_with_less_rank_than_we(
    blobs: Any, local_options: Any, make_task: Any, watched: Any
) -> None:
    pool = LocalScheduler(blobs, replace(local_options, niceness=7))
    await pool.start()
    await pool.submit(await make_task("a", "!slow 60"))
    await eventually_async(lambda: log_has(pool, "a", "slow"))
    record = await record_in(local_options.work_dir)
    assert os.getpriority(os.PRIO_PROCESS, record.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 7
    assert os.getpgid(record.pid) == record.pid
    await pool.close()


async def test_what_a_spec_names_in_a_bucket_is_fetched_before_the_worker_starts(tmp_path: Path) -> None:
    # An object store of the same library that lives in memory; the calls are those that S3 gets.
    blobs = BlobStore.open("memory:///", cache=tmp_path / "copies")
    face, other, signed = [await blobs.put_bytes(name) for name in (b"face", b"other", b"signed")]
    gone = f"sha256:{'0' * 64}"
    scenes = [
        {"id": "one", "face": {"image": {"sha256": face.sha256}, "evidence": signed.sha256}, "logo": gone},
        {"id": "two", "face": {"image": {"sha256": other.sha256}}},
    ]
    spec = await blobs.put_bytes(json.dumps({"scenes": scenes}).encode())
    for path in blobs.root.glob("??/*"):
        path.unlink()
    workspace = Workspace(tmp_path / "task", blobs)
    await workspace.prepare(SegmentTask("a", "segment", spec.sha256, scene_id="one"))
    here = {f"sha256:{path.name}" for path in blobs.root.glob("??/*")}
    assert here == {spec.sha256, face.sha256}, "where `--blobs` looks, and nothing of other scenes"
    assert (blobs.root / face.sha256[7:9] / face.sha256[7:]).read_bytes() == b"face"


def test_each_kind_of_task_has_its_command_line(tmp_path: Path) -> None:
    def line(kind: Any, **more: Any) -> list[str]:
        task = SegmentTask("a", kind, "sha256:0", **more)
        return worker_arguments(task, blobs=Path("/b"), cache=Path("/c"))[:-6]

    assert line("segment", scene_id="s1") == ["segment", "spec.json", "s1", "out/segment"]
    assert line("assemble") == ["assemble", "spec.json", "out/video.mp4", "--segments", "segments"]
    assert line("prepare", arguments=("--face-index", "2")) == [
        "prepare", "picture", "out/portrait.json", "--face-index", "2",
    ]  # fmt: skip
    assert line("probe") == ["probe", "media"]
    assert line("lipsync") == ["lipsync", "spec.json", "out/video.mp4"]
    assert line("speak", scene_id="s1") == ["speak", "spec.json", "s1", "out/speech"]
    assert line("preview", scene_id="s1") == ["preview", "spec.json", "s1", "out/video.mp4"]


def test_the_environment_holds_only_what_is_there(tmp_path: Path) -> None:
    created = worker_environment(tmp_path, ("WANTED",), {"PATH": "/bin", "OTHER": "x"})
    assert created == {"PATH": "/bin", "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    elsewhere = worker_environment(tmp_path, (), {"AVATAR_MODELS": "/ours"}, models=tmp_path / "weights")
    assert elsewhere["AVATAR_MODELS"] == str(tmp_path / "weights"), "the setting goes before the variable"


def test_a_queue_gives_by_priority_then_by_age_and_skips_what_was_removed() -> None:
    queue = TaskQueue()
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
        queue.push(name, priority)
    assert queue.ahead_of("c") == 3
    assert queue.remove("b") and not queue.remove("b")
    assert queue.ahead_of("c") == 2 and len(queue) == 3
    assert (queue.first(), len(queue)) == ("d", 3)
    assert [queue.pop(), queue.pop(), queue.pop(), queue.pop()] == ["d", "a", "c", None]


def test_what_completes_a_video_runs_before_what_begins_others() -> None:
    queue = TaskQueue()
    queue.push("scene of the second", 0)
    queue.push("urgent scene", 5)
    queue.push("join the first", 0, completes=True)
    assert queue.ahead_of("scene of the second") == 2
    queue.set_priority("join the first", 5)
    assert [queue.pop(), queue.pop(), queue.pop()] == [
        "join the first",
        "urgent scene",
        "scene of the second",
    ]


def test_a_log_keeps_its_end() -> None:
    tail = LogTail(limit=10)
    for number in range(100):
        tail.add(f"{number:03d}\n".encode())
    assert tail.text() == "97\n098\n099\n"[-10:]
