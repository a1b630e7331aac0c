"""A render in the making shows its latest frame, and nothing of that stays when it is done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from avatar.spec import PreviewFrame, RenderSpec

from studio.renders.previews import Previews
from studio.renders.schemas import RenderRequest

pytestmark = pytest.mark.each_database

SIZE = {"width": 320, "height": 180}


async def begun(rooms: Any, script: str) -> str:
    spec = RenderSpec.model_validate({"canvas": SIZE, "scenes": [{"id": "one", "script": script}]})
    view = await rooms.renders.create(RenderRequest(spec=spec))
    return str(view.id)


async def test_the_events_of_a_render_name_its_latest_picture(client: Any, rooms: Any, blobs: Any) -> None:
    render_id = await begun(rooms, "!show 6")
    shown, stored = [], set()
    async for event in rooms.renders.follow(render_id):
        preview = event.data.get("preview")
        if preview and preview["sha256"] not in stored:
            answer = await client.get(preview["url"])
            shown.append((preview["scene"], answer.status_code, answer.headers["content-type"]))
            assert answer.content.startswith(b"\xff\xd8\xff")
            stored.add(preview["sha256"])
    assert shown and set(shown) == {("one", 200, "image/jpeg")}
    gone = await client.get(f"/api/renders/{render_id}/preview")
    assert gone.status_code == 404 and gone.json()["code"] == "render.no_preview"
    async with asyncio.timeout(20):
        while any([await blobs.exists(sha256) for sha256 in stored]):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_a_picture_that_two_renders_show_stays_for_the_other(db: Any, blobs: Any) -> None:
    previews = Previews(db, blobs)
    line = PreviewFrame(scene="one", frame=1, jpeg="/9j/AAAA")
    first, second = await previews.keep("rnd_a", line), await previews.keep("rnd_b", line)
    assert first is not None and second is not None and first.sha256 == second.sha256
    await previews.drop("rnd_a")
    assert await blobs.exists(first.sha256)
    await previews.drop("rnd_b")
    assert not await blobs.exists(first.sha256)


@pytest.mark.parametrize("jpeg", ["AAAA", "/9j"])
async def test_what_is_no_jpeg_is_not_kept(db: Any, blobs: Any, jpeg: str) -> None:
    assert await Previews(db, blobs).keep("rnd_a", PreviewFrame(frame=1, jpeg=jpeg)) is None
    assert [blob async for blob in blobs.iterate()] == []
