"""What becomes of a render is the end of its story in the audit log."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from avatar.spec import Canvas

from policy.audit import AuditLog
from soundstage.events import EventStore
from soundstage.telemetry import trace
from studio.renders.schemas import RenderRequest
from studio.renders.states import TERMINAL
from studio.wiring import Studio


async def run_to_end(events: EventStore, render_id: str) -> None:
    async with aclosing(events.follow(f"render:{render_id}")) as followed:
        async for event in followed:
            if event.kind == "render.state" and event.data["state"] in TERMINAL:
                return


@pytest.mark.parametrize(("script", "kind"), [("hello", "artefact.made"), ("!fail", "render.failed")])
async def test_a_story_ends_with_the_files_or_with_why_there_are_none(
    rooms: Studio, events: EventStore, audit: AuditLog, script: str, kind: str
) -> None:
    with trace() as one:
        created = await rooms.renders.create(
            RenderRequest(script=script, canvas=Canvas(width=320, height=180, fps=25)), requested_by="Ada"
        )
    await run_to_end(events, created.id)
    (line,) = (await audit.trail(created.id)).lines
    view = await rooms.renders.get(created.id)
    assert (line.kind, line.trace_id, line.data["state"]) == (kind, one, view.state)
    if kind == "artefact.made":
        assert line.data["files"] and all(sha.startswith("sha256:") for sha in line.data["files"].values())
    else:
        assert line.data["files"] == {} and line.data["error"]["code"]
    assert (await audit.verify()).broken_at is None


async def test_an_audit_trail_tells_that_the_video_was_deleted(
    rooms: Studio, events: EventStore, audit: AuditLog
) -> None:
    canvas = Canvas(width=320, height=180, fps=25)
    with trace() as one:
        view = await rooms.renders.create(RenderRequest(script="hello", canvas=canvas), requested_by="Ada")
    await run_to_end(events, view.id)
    await rooms.renders.delete(view.id)
    lines = (await audit.trail(view.id)).lines
    assert [line.kind for line in lines] == ["artefact.made", "render.deleted"]
    assert lines[-1].trace_id == one and lines[-1].data["title"] == "hello"
