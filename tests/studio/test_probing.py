"""Every upload is looked into by the worker: what it holds, or why it cannot be read, stands on the asset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from studio.assets.schemas import AssetChange, AssetLabels

MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(range(256)) * 8


@pytest.fixture
async def probing(studio_rooms: Any) -> AsyncIterator[Any]:
    """The services, with somebody who looks into files."""
    await studio_rooms.prober.worker.start()
    yield studio_rooms
    await studio_rooms.prober.worker.close()


async def upload_asset(rooms: Any, content: bytes = MP4, **labels: Any) -> Any:
    async def chunks() -> Any:
        yield content

    return await rooms.assets.upload(chunks(), AssetLabels(**labels))


async def wait_for_probe(rooms: Any, asset_id: str) -> Any:
    async with asyncio.timeout(60):
        while "probe" not in (view := await rooms.assets.get(asset_id)).metadata:  # noqa: ASYNC110 - as callers do
            await asyncio.sleep(0.05)
    return view


async def test_an_upload_gets_its_length_and_size_in_the_background(probing: Any) -> None:
    asset = await upload_asset(probing)
    assert (asset.duration_ms, asset.metadata) == (None, {}), "the answer to an upload does not wait"
    view = await wait_for_probe(probing, asset.id)
    assert view.duration_ms == 400 and view.metadata["probe"] == {"state": "read"}
    assert [view.metadata[key] for key in ("width", "height", "fps")] == [96, 64, 25.0]


async def test_what_people_say_stands_and_their_changes_keep_what_was_measured(probing: Any) -> None:
    forged = {"take": 3, "width": "wide", "probe": {"state": "read"}}
    asset = await upload_asset(probing, duration_ms=77, metadata=forged)
    view = await wait_for_probe(probing, asset.id)
    assert (view.duration_ms, view.metadata["width"], view.metadata["height"]) == (77, "wide", 64)
    changed = await probing.assets.change(asset.id, AssetChange(metadata={"take": 4}))
    assert (changed.metadata["take"], changed.metadata["height"]) == (4, 64)
    assert changed.metadata["probe"] == {"state": "read"}


async def test_a_file_that_cannot_be_read_says_so_and_is_kept(probing: Any) -> None:
    asset = await upload_asset(probing, MP4 + b"\n!fail")
    view = await wait_for_probe(probing, asset.id)
    assert view.metadata["probe"] == {
        "state": "unreadable",
        "code": "face.not_found",
        "message": "there is no face in the picture",
        "hint": "use another",
    }
    _, path = await probing.assets.open_file(asset.id)
    assert path.read_bytes().endswith(b"!fail")


async def test_a_crash_of_the_worker_is_told_and_ends_nothing(probing: Any) -> None:
    bad = await upload_asset(probing, MP4 + b"\n!crash")
    good = await upload_asset(probing, MP4)
    assert (await wait_for_probe(probing, bad.id)).metadata["probe"]["code"] == "worker.crashed"
    assert (await wait_for_probe(probing, good.id)).metadata["probe"] == {"state": "read"}


async def test_what_was_uploaded_while_nobody_looked_is_taken_up_later(studio_rooms: Any) -> None:
    slow = await upload_asset(studio_rooms, MP4 + b"\n!slow 30")
    asset = await upload_asset(studio_rooms)
    worker = studio_rooms.prober.worker
    await worker.start()
    await asyncio.sleep(0.5)
    await worker.close()
    assert (await studio_rooms.assets.get(slow.id)).metadata == {}, "stopped is not unreadable"
    await studio_rooms.assets.delete(slow.id)
    await worker.start()
    assert (await wait_for_probe(studio_rooms, asset.id)).duration_ms == 400
    await worker.close()
