"""Stored files that are damaged or gone: what was made is made again, what people brought is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from avatar.spec import RenderSpec

from studio.assets.schemas import AssetLabels
from studio.renders.repository import Segments
from studio.renders.schemas import RenderRequest
from studio.renders.states import RenderState

SIZE = {"width": 320, "height": 180}


def spec_of(*scripts: str, **more: Any) -> RenderSpec:
    scenes = [{"id": f"s{number}", "script": script, **more} for number, script in enumerate(scripts)]
    return RenderSpec.model_validate({"canvas": SIZE, "scenes": scenes})


async def render_scene(rooms: Any, spec: RenderSpec) -> Any:
    view = await rooms.renders.create(RenderRequest(spec=spec))
    await rooms.renders.wait(view.id)
    return await rooms.renders.detail(view.id)


def file_of(blobs: Any, sha256: str) -> Path:
    digits = sha256.removeprefix("sha256:")
    return Path(blobs.root) / digits[:2] / digits


def files_with(text: bytes, blobs: Any) -> list[Path]:
    return [path for path in Path(blobs.root).glob("??/*") if text in path.read_bytes()]


async def first_segment(db: Any, render_id: str) -> dict[str, str]:
    """Its files by role."""
    async with db.session() as session:
        (_, segment), *_ = await Segments(session).of_render(render_id)
    return {file["role"]: file["sha256"] for file in segment.result["files"]}


async def test_a_finished_scene_whose_file_was_damaged_since_is_made_again(
    rooms: Any, db: Any, blobs: Any
) -> None:
    first = await render_scene(rooms, spec_of("one", "two"))
    sha256 = (await first_segment(db, first.id))["segment"]
    path = file_of(blobs, sha256)
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"?")
    second = await render_scene(rooms, spec_of("one", "two"))
    assert second.state is RenderState.DONE
    assert [segment.reused for segment in second.segments] == [False, True]
    assert path.read_bytes() == good


async def test_a_file_that_vanishes_while_the_video_is_made_costs_its_step_and_not_the_video(
    rooms: Any, db: Any, blobs: Any
) -> None:
    view = await rooms.renders.create(RenderRequest(spec=spec_of("one", "!slow 2")))
    async for event in rooms.renders.follow(view.id):
        if event.kind == "render.segment" and event.data["scene"] == "s0":
            await blobs.delete((await first_segment(db, view.id))["segment"])
            break
    done = await rooms.renders.wait(view.id)
    assert done.state is RenderState.DONE, done.error
    assert [warning.code for warning in done.warnings] == ["render.made_again"]


async def test_a_spec_that_was_damaged_in_the_store_is_written_anew(rooms: Any, blobs: Any) -> None:
    first = await render_scene(rooms, spec_of("!blame work.blob_damaged"))
    assert first.error.code == "work.blob_damaged", "without damage on our side the worker's word stands"
    (path,) = files_with(b"!blame", blobs)
    good = path.read_bytes()
    path.write_bytes(good.replace(b"!blame work.blob_damaged", b"!blame work.blob_damaged "))
    retried = await rooms.renders.retry(first.id)
    await rooms.renders.wait(retried.id)
    assert path.read_bytes() == good


async def test_a_damaged_picture_is_named_and_can_be_uploaded_again(rooms: Any, blobs: Any) -> None:
    content = b"\x89PNG\r\n\x1a\n the picture of a company"

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    blob = await rooms.assets.upload(chunks(), AssetLabels())
    box = {"x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2}
    logo = {"kind": "image", "image": {"sha256": blob.sha256, "name": "logo.png"}, "box": box}
    path = file_of(blobs, blob.sha256)
    path.write_bytes(b"?" + content[1:])
    failed = await render_scene(rooms, spec_of("!blame work.blob_damaged", overlays=[logo]))
    assert failed.state is RenderState.FAILED and failed.error.code == "media.lost"
    assert "logo.png" in failed.error.message and "scenes[0].overlays[0].image" in failed.error.message
    await blobs.put_bytes(content, "image/png")
    assert path.read_bytes() == content, "the damaged file was in the way"
