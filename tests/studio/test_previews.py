"""A render in the making shows its latest frame, and only that one is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from avatar.spec import PreviewFrame, RenderSpec
from sqlalchemy import update

from studio.renders.models import Render
from studio.renders.reporting import Previews
from studio.renders.schemas import RenderRequest

pytestmark = pytest.mark.each_database

SIZE = {"width": 320, "height": 180}


async def begin(rooms: Any, script: str) -> str:
    spec = RenderSpec.model_validate({"canvas": SIZE, "scenes": [{"id": "one", "script": script}]})
    view = await rooms.renders.create(RenderRequest(spec=spec))
    return str(view.id)


async def test_the_events_of_a_render_name_its_latest_picture(client: Any, rooms: Any, blobs: Any) -> None:
    render_id = await begin(rooms, "!show 6")
    shown, stored = [], set()
    async for event in rooms.renders.follow(render_id):
        preview = event.data.get("preview")
        if preview and preview["sha256"] not in stored:
            answer = await client.get(preview["url"])
            shown.append((preview["scene"], answer.status_code, answer.headers["content-type"]))
            assert answer.content.startswith(b"\xff\xd8\xff")
            listed = await client.get(f"/api/renders/{render_id}/thumbnail")
            assert listed.status_code == 200 and listed.content.startswith(b"\xff\xd8\xff")
            stored.add(preview["sha256"])
    assert shown and set(shown) == {("one", 200, "image/jpeg")}
    last = (await rooms.renders.get(render_id)).progress.preview
    assert (await client.get(last.url)).status_code == 200, "who asks a moment late still sees it"
    assert [sha256 for sha256 in stored if await blobs.exists(sha256)] == [last.sha256]


async def test_a_render_that_nobody_has_drawn_yet_has_no_picture(client: Any, studio_rooms: Any) -> None:
    render_id = await begin(studio_rooms, "waits")
    missing = await client.get(f"/api/renders/{render_id}/preview")
    assert missing.status_code == 404 and missing.json()["code"] == "render.no_preview"


async def test_of_a_picture_that_is_replaced_while_it_is_read_the_next_is_read(
    rooms: Any, db: Any, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    render_id = await begin(rooms, "!show 6")
    await rooms.renders.wait(render_id)
    last = (await rooms.renders.get(render_id)).progress
    find = blobs.local_path

    async def replace(sha256: str) -> Path:
        monkeypatch.setattr(blobs, "local_path", find)
        later = last.preview.model_copy(update={"frame": last.preview.frame + 1})
        async with db.transaction() as session:
            progress = last.model_copy(update={"preview": later}).model_dump(mode="json")
            await session.execute(update(Render).where(Render.id == render_id).values(progress=progress))
        raise FileNotFoundError(sha256)

    monkeypatch.setattr(blobs, "local_path", replace)
    preview, picture = await rooms.renders.read_preview(render_id)
    assert preview.frame == last.preview.frame + 1 and picture.startswith(b"\xff\xd8\xff")


async def test_a_picture_that_two_renders_show_stays_for_the_other(db: Any, blobs: Any) -> None:
    previews = Previews(db, blobs)
    line = PreviewFrame(scene="one", frame=1, jpeg="/9j/AAAA")
    later = PreviewFrame(scene="one", frame=2, jpeg="/9j/BBBB")
    first, second = await previews.keep("rnd_a", line), await previews.keep("rnd_b", line)
    assert first is not None and second is not None and first.sha256 == second.sha256
    await previews.keep("rnd_a", later)
    assert await blobs.exists(first.sha256)
    await previews.keep("rnd_b", later)
    assert not await blobs.exists(first.sha256)


@pytest.mark.parametrize("jpeg", ["AAAA", "/9j"])
async def test_what_is_no_jpeg_is_not_kept(db: Any, blobs: Any, jpeg: str) -> None:
    assert await Previews(db, blobs).keep("rnd_a", PreviewFrame(frame=1, jpeg=jpeg)) is None
    assert [blob async for blob in blobs.iterate()] == []
