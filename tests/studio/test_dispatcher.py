"""Who drives, and what happens when that process stops or is killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import Failed, RenderSpec
from waiting import eventually_async

from farm.failures import TaskFailed
from farm.local import orphans
from soundstage.background import ProcessLock
from studio.renders.journal import stream_of
from studio.renders.repository import Renders
from studio.renders.schemas import RenderRequest
from studio.renders.states import RenderState

SERVER = """
import asyncio, sys
from pathlib import Path
import studio.models
from farm.local import LocalOptions, LocalScheduler
from policy.audit import AuditLog
from policy.audit.head import HeadFile
from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.events import EventStore
from soundstage.settings import Settings
from studio.wiring import build_studio, worker_cache

async def main(root, stand_in, database_url):
    settings = Settings.model_validate(
        {"state_dir": root / "state", "out_dir": root / "out", "personas_dir": root / "personas"}
    )
    db = Database(database_url)
    blobs = BlobStore.open(settings.blobs_url)
    command = (sys.executable, "-I", "-S", stand_in)
    options = LocalOptions(command, settings.state_dir / "work", worker_cache(settings), concurrency=1)
    scheduler = LocalScheduler(blobs, options)
    audit = AuditLog(db, HeadFile(settings.state_dir))
    made = build_studio(settings, db, EventStore(db), blobs, scheduler, audit, worker_version="1.0")
    await made.dispatcher.start()
    await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
"""


def spec_of(*scripts: str) -> RenderSpec:
    scenes = [{"id": f"s{number}", "script": script} for number, script in enumerate(scripts)]
    return RenderSpec.model_validate({"canvas": {"width": 320, "height": 180}, "scenes": scenes})


async def test_after_kill_9_only_the_missing_segments_are_made(
    studio_rooms: Any, settings: Any, tmp_path: Path, database_url: str
) -> None:
    stand_in = Path(__file__).parents[1] / "farm" / "stand_in.py"
    view = await studio_rooms.renders.create(RenderRequest(spec=spec_of("quick", "!slow 2")))
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", textwrap.dedent(SERVER), str(tmp_path), str(stand_in), database_url),
        cwd=Path(__file__).parents[2],
    )

    async def second_runs() -> bool:
        events = await studio_rooms.events.read(stream_of(view.id))
        first_done = any(event.kind == "render.segment" for event in events)
        return first_done and len(list((settings.state_dir / "work").glob("*/*/worker.json"))) == 1

    await eventually_async(second_runs)
    record = orphans.read_record(next((settings.state_dir / "work").glob("*/*/worker.json")))
    assert record is not None
    server.kill()
    await server.wait()
    assert (await studio_rooms.renders.get(view.id)).state is RenderState.RUNNING
    reported = await studio_rooms.events.read(stream_of(view.id))
    stored = [event.data["scene"] for event in reported if event.kind == "render.segment"]
    assert len(stored) == 1
    await studio_rooms.dispatcher.start()
    ended = await studio_rooms.renders.wait(view.id)
    assert ended.state is RenderState.DONE and ended.attempt == 1
    detail = await studio_rooms.renders.detail(view.id)
    # Which of the two was first depends on how busy the machine is; that one alone is not made again.
    assert {segment.scene_id: segment.attempts for segment in detail.segments} == {
        segment.scene_id: 1 if segment.scene_id in stored else 2 for segment in detail.segments
    }
    assert orphans.find_processes(record) == []
    whys = [event.data.get("why") for event in await studio_rooms.events.read(stream_of(view.id))]
    assert "the server was restarted" in whys


async def test_a_cancel_that_came_while_nobody_drove_is_carried_out(
    studio_rooms: Any, ask: Any, db: Any
) -> None:
    view = await studio_rooms.renders.create(ask())
    async with db.transaction() as session:
        row = await Renders(session).find(view.id)
        assert row is not None
        row.state, row.cancel_requested = RenderState.RUNNING, True
    await studio_rooms.dispatcher.start()
    assert (await studio_rooms.renders.wait(view.id)).state is RenderState.CANCELLED


async def test_closing_puts_renders_back_into_the_queue_and_the_next_one_finishes_them(
    studio_rooms: Any, ask: Any, new_studio: Any
) -> None:
    view = await studio_rooms.renders.create(ask("!slow 1"))
    await studio_rooms.dispatcher.start()

    async def running() -> bool:
        return bool((await studio_rooms.renders.get(view.id)).state == RenderState.RUNNING)

    await eventually_async(running)
    await studio_rooms.dispatcher.close()
    assert (await studio_rooms.renders.get(view.id)).state is RenderState.QUEUED
    next_one = new_studio()
    async with next_one.dispatcher:
        assert (await next_one.renders.wait(view.id)).state is RenderState.DONE


async def test_a_render_goes_on_after_its_database_was_away(
    studio_rooms: Any, ask: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = studio_rooms.dispatcher._maker
    make, outages = maker.make, ["database.unreachable", "database.no_primary"]

    async def sometimes(render_id: str, ending: Any) -> None:
        if outages:
            raise TaskFailed(
                Failed(code=outages.pop(), message="The database does not answer.", hint="Wait.")
            )
        await make(render_id, ending)

    monkeypatch.setattr(maker, "make", sometimes)
    view = await studio_rooms.renders.create(ask("away"))
    await studio_rooms.dispatcher.start()
    assert (await studio_rooms.renders.wait(view.id)).state is RenderState.DONE
    reasons = [event.data.get("why") for event in await events.read(stream_of(view.id))]
    assert reasons.count("the database was away") == 2


async def test_a_render_stopped_in_its_assembly_is_finished_by_the_next_one(
    studio_rooms: Any, ask: Any, events: Any, new_studio: Any
) -> None:
    view = await studio_rooms.renders.create(ask("!assemble-slow 1"))
    await studio_rooms.dispatcher.start()

    async def assembling() -> bool:
        kinds = [event.kind for event in await events.read(stream_of(view.id))]
        return "render.segment" in kinds

    await eventually_async(assembling)
    await studio_rooms.dispatcher.close()
    assert (await studio_rooms.renders.get(view.id)).state is RenderState.QUEUED
    next_one = new_studio()
    async with next_one.dispatcher:
        assert (await next_one.renders.wait(view.id)).state is RenderState.DONE
        assert (await next_one.renders.detail(view.id)).segments[0].attempts == 1


async def test_one_of_two_dispatchers_drives_and_the_other_takes_over(
    studio_rooms: Any, new_studio: Any, ask: Any
) -> None:
    other = new_studio()
    await studio_rooms.dispatcher.start()

    async def driving() -> bool:
        return bool(studio_rooms.dispatcher.is_leader)

    await eventually_async(driving)
    async with other.dispatcher:
        view = await other.renders.create(ask())
        assert (await other.renders.wait(view.id)).state is RenderState.DONE
        assert (studio_rooms.dispatcher.is_leader, other.dispatcher.is_leader) == (True, False)
        await studio_rooms.dispatcher.close()
        view = await other.renders.create(ask("after"))
        assert (await other.renders.wait(view.id)).state is RenderState.DONE
        assert other.dispatcher.is_leader


async def test_renders_of_higher_priority_start_first(rooms: Any, scheduler: Any, ask: Any) -> None:
    blockers = [await rooms.renders.create(ask(f"!slow 60\n{number}")) for number in range(2)]

    async def busy() -> bool:
        states = {(await rooms.renders.get(view.id)).state for view in blockers}
        return states == {RenderState.RUNNING}

    async def all_wait() -> bool:
        return len(scheduler._queue) == len(views)

    await eventually_async(busy)
    views = [await rooms.renders.create(ask(f"!slow 0.3\n{number}", priority=number)) for number in range(4)]
    await eventually_async(all_wait)
    for view in blockers:
        await rooms.renders.cancel(view.id)
    ended = [await rooms.renders.wait(view.id) for view in views]
    order = [view.priority for view in sorted(ended, key=lambda view: view.started_at)]
    assert sorted(order[:2]) == [2, 3] and sorted(order[2:]) == [0, 1]


def test_the_lock_is_let_go_when_its_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import asyncio, sys, time; from pathlib import Path; from soundstage.background import ProcessLock;"
        "lock = ProcessLock(Path(sys.argv[1])); print(asyncio.run(lock.acquire()), flush=True);"
        "time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert holder.stdout is not None and holder.stdout.readline().strip() == b"True"
    mine = ProcessLock(path)
    assert not asyncio.run(mine.acquire()) and not mine.held
    holder.kill()
    holder.wait()
    holder.stdout.close()
    deadline = time.monotonic() + 60
    while not asyncio.run(mine.acquire()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    asyncio.run(mine.release())
    assert not mine.held
