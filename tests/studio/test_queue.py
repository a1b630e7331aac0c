"""The queue: what runs and waits, in order; another priority; and cancelling several."""

from __future__ import annotations

import platform
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from waiting import eventually_async

from policy.audit import AuditLog
from studio.renders.models import Render
from studio.renders.repository import Renders
from studio.renders.schemas import RenderChange
from studio.renders.states import RenderState

pytestmark = pytest.mark.each_database

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"rnd_{number:026d}",
        "tenant": "default",
        "kind": "video",
        "state": "queued",
        "title": f"Video {number}",
        "spec": {},
        "spec_hash": "sha256:0",
        "personas": ["nova"],
        "created_at": BEGIN + timedelta(seconds=number),
        **more,
    }


async def add(db: Any, *rows: dict[str, Any]) -> None:
    async with db.transaction() as session:
        for one in rows:
            await session.execute(insert(Render), one)


async def read_queue(client: Any) -> Any:
    answer = await client.get("/api/queue")
    assert answer.status_code == 200, answer.text
    return answer.json()


def titles(entries: list[dict[str, Any]]) -> list[str]:
    return [one["title"] for one in entries]


async def test_what_runs_and_waits_is_told_in_the_order_in_which_it_will_run(client: Any, db: Any) -> None:
    await add(
        db,
        row(1, priority=-5),
        row(2),
        row(3, tenant="acme"),
        row(4, priority=9),
        row(5, state="placed", waits="waits: 2 of 2 workers busy, 0 ahead of it"),
        row(6, state="running", progress={"stage": "frames", "nodes": ["gpu-1"]}),
        row(7, state="done"),
    )
    queue = await read_queue(client)
    assert titles(queue["running"]) == ["Video 6"]
    (running,) = queue["running"]
    assert (running["position"], running["why"], running["progress"]["nodes"]) == (None, "", ["gpu-1"])
    # One of another tenant counts, and is not shown.
    assert titles(queue["waiting"]) == ["Video 5", "Video 4", "Video 2", "Video 1"]
    assert [one["position"] for one in queue["waiting"]] == [1, 2, 3, 5]
    assert queue["total"] == 4
    assert queue["waiting"][0]["why"] == "waits: 2 of 2 workers busy, 0 ahead of it"
    assert queue["waiting"][1]["why"] == "waits: no dispatcher is running; start `soundstage up`"
    short = (await client.get("/api/queue?limit=2")).json()
    assert titles(short["waiting"]) == ["Video 5", "Video 4"] and short["total"] == 4


async def test_the_reason_is_that_of_explain(client: Any, db: Any) -> None:
    await add(db, row(1), row(2), row(3, state="placed", waits="waits: no node has a card with 24 GiB"))
    for one in (await read_queue(client))["waiting"]:
        explained = (await client.get(f"/api/renders/{one['id']}/explain")).json()["explanation"]
        assert one["why"] == explained


async def test_another_priority_moves_it_and_is_told_and_recorded(
    client: Any, db: Any, events: Any, audit: AuditLog
) -> None:
    await add(db, row(1), row(2), row(3, state="done"))
    last = f"rnd_{2:026d}"
    changed = await client.patch(f"/api/renders/{last}", json={"priority": 50})
    assert changed.status_code == 200 and changed.json()["priority"] == 50
    assert titles((await read_queue(client))["waiting"]) == ["Video 2", "Video 1"]
    (event,) = [one for one in await events.read(f"render:{last}") if one.kind == "render.changed"]
    assert event.data["priority"] == 50 and event.data["by"]
    ended = await client.patch(f"/api/renders/rnd_{3:026d}", json={"priority": 1})
    assert (ended.status_code, ended.json()["code"]) == (409, "render.ended")
    assert (await client.patch(f"/api/renders/{last}", json={"priority": 101})).status_code == 422
    (line,) = [one for one in await audit.read(0, 10) if one.kind == "render.changed"]
    assert (line.actor, line.subject, line.data["priority"]) == (event.data["by"], last, 50)


async def test_work_that_waits_for_a_worker_is_moved_too(rooms: Any, scheduler: Any, ask: Any) -> None:
    blockers = [await rooms.renders.create(ask(f"!slow 60\n{number}")) for number in range(2)]

    async def busy() -> bool:
        views = [await rooms.renders.get(view.id) for view in blockers]
        return {view.state for view in views} == {RenderState.RUNNING}

    await eventually_async(busy)
    view = await rooms.renders.get(blockers[0].id)

    async def tells_its_node() -> bool:
        return (await rooms.renders.get(view.id)).progress.nodes == [platform.node()]

    await eventually_async(tells_its_node)
    first = await rooms.renders.create(ask("!slow 0.3\nfirst"))
    await eventually_async(lambda: len(scheduler._queue) == 1)
    second = await rooms.renders.create(ask("!slow 0.3\nsecond"))
    await eventually_async(lambda: len(scheduler._queue) == 2)
    await rooms.render_editing.change(second.id, RenderChange(priority=10), by="ada")

    def is_moved() -> bool:
        return min(rank for rank, *_ in scheduler._queue._waiting.values()) == -10

    await eventually_async(is_moved)
    await rooms.renders.cancel(blockers[0].id)
    ended = [await rooms.renders.wait(one.id) for one in (first, second)]
    assert ended[1].started_at < ended[0].started_at
    await rooms.renders.cancel(blockers[1].id)


async def test_several_are_cancelled_after_the_plan_that_was_shown(client: Any, db: Any) -> None:
    ids = [f"rnd_{number:026d}" for number in range(1, 5)]
    await add(
        db,
        row(1),
        row(2, state="running", progress={"frames_done": 120, "frames_total": 400, "scenes_done": 1}),
        row(3, state="done"),
        row(4),
    )
    plan = (await client.post("/api/queue/cancel/plan", json={"renders": [*ids[:3], ids[0]]})).json()
    assert [(one["title"], one["effect"]) for one in plan["renders"]] == [
        ("Video 1", "leaves_queue"),
        ("Video 2", "stops"),
    ]
    assert plan["renders"][1]["frames_done"] == 120 and plan["ended"] == [ids[2]]
    async with db.session() as session:
        assert {one.state for one in await Renders(session).with_ids(ids)} == {"queued", "running", "done"}
    # It begins to run meanwhile: the yes was to something else.
    async with db.transaction() as session:
        (first,) = await Renders(session).with_ids(ids[:1])
        first.state = "running"
    body = {"renders": ids[:3], "plan": plan["sha256"]}
    refused = await client.post("/api/queue/cancel", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "queue.plan_changed")
    plan = (await client.post("/api/queue/cancel/plan", json={"renders": ids[:3]})).json()
    body = {"renders": ids[:3], "plan": plan["sha256"]}
    done = await client.post("/api/queue/cancel", json=body)
    assert done.status_code == 202, done.text
    assert done.json() == {"cancelled": ids[:2], "ended": [ids[2]]}
    async with db.session() as session:
        found = {one.id: one for one in await Renders(session).with_ids(ids)}
    assert found[ids[0]].cancel_requested and found[ids[1]].cancel_requested
    assert found[ids[3]].state == "queued" and not found[ids[3]].cancel_requested
    # One that is not there, and nothing is cancelled.
    missing = await client.post("/api/queue/cancel", json={"renders": [ids[3], "rnd_nothing"]})
    assert (missing.status_code, missing.json()["code"]) == (404, "render.not_found")
    async with db.session() as session:
        (last,) = await Renders(session).with_ids(ids[3:])
    assert last.state == "queued"


async def test_who_cancelled_is_recorded(client: Any, db: Any, audit: AuditLog) -> None:
    await add(db, row(1))
    (await client.post("/api/queue/cancel", json={"renders": [f"rnd_{1:026d}"]})).raise_for_status()
    lines = [(one.kind, one.actor) for one in await audit.read(0, 10)]
    assert lines == [("render.cancel_requested", "this machine"), ("render.cancelled", "farm")]
