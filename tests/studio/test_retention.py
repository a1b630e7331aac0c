"""What may go goes, what anybody holds stays, and the plan is what is carried out."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from soundstage.database import utcnow
from soundstage.events.models import EventRow
from studio.assets.schemas import AssetLabels
from studio.renders.repository import Renders
from studio.renders.schemas import RenderRequest
from studio.renders.states import RenderState
from studio.retention.service import RetentionRules

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
ALL = RetentionRules(render_days=30, unused_blob_hours=24, segment_mib=100)


async def upload(rooms: Any, content: bytes = JPEG) -> Any:
    async def chunks() -> Any:
        yield content

    return await rooms.assets.upload(chunks(), AssetLabels())


async def age(blobs: Any, hours: float) -> None:
    """Makes every blob look older."""
    moment = time.time() - hours * 3600
    for path in [await blobs.local_path(blob.sha256) async for blob in blobs.iterate()]:
        os.utime(path, (moment, moment))


async def list_hashes(blobs: Any) -> set[str]:
    return {blob.sha256 async for blob in blobs.iterate()}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_blob_that_nobody_holds_goes_after_the_grace_time(studio_rooms: Any, blobs: Any) -> None:
    orphan = await blobs.put_bytes(b"nobody")
    asset = await upload(studio_rooms)
    assert (await studio_rooms.retention.plan()).items == []
    await age(blobs, 25)
    plan = await studio_rooms.retention.plan()
    assert plan.of("blob") == [orphan.sha256] and plan.freed_bytes == 6 and not plan.applied
    assert await list_hashes(blobs) == {orphan.sha256, asset.sha256}
    done = await studio_rooms.retention.apply()
    assert done.applied and await list_hashes(blobs) == {asset.sha256}


async def test_a_blob_that_is_put_again_is_spared(studio_rooms: Any, blobs: Any) -> None:
    await blobs.put_bytes(b"nobody")
    await age(blobs, 25)
    await blobs.put_bytes(b"nobody")
    assert (await studio_rooms.retention.apply()).items == []
    await age(blobs, 25)
    plan = await studio_rooms.retention.plan()
    await blobs.put_bytes(b"nobody")
    await studio_rooms.retention.carry_out(plan)
    assert plan.of("blob") and len(await list_hashes(blobs)) == 1, (
        "also when that happens after the plan was made"
    )


async def test_a_deleted_assets_blob_stays_while_another_holds_it(studio_rooms: Any, blobs: Any) -> None:
    first, second = await upload(studio_rooms), await upload(studio_rooms)
    assert first.sha256 == second.sha256
    await studio_rooms.assets.delete(first.id)
    await age(blobs, 25)
    assert (await studio_rooms.retention.apply()).items == []
    await studio_rooms.assets.delete(second.id)
    assert len((await studio_rooms.retention.apply()).items) == 1
    assert await list_hashes(blobs) == set()


async def test_old_renders_go_with_their_files_and_young_ones_stay(
    rooms: Any, render_to_end: Any, db: Any, blobs: Any, settings: Any
) -> None:
    old, young = await render_to_end(rooms, "old"), await render_to_end(rooms, "young")
    async with db.transaction() as session:
        row = await Renders(session).find(old.id)
        assert row is not None
        row.finished_at = utcnow() - timedelta(days=31)
    plan = await rooms.retention.plan(ALL)
    assert plan.of("render") == [old.id] and plan.of("segment") == []
    await rooms.renders.delete(old.id)
    assert (await rooms.retention.carry_out(plan)).applied, "what is gone already is no trouble"
    old = await render_to_end(rooms, "old")
    async with db.transaction() as session:
        row = await Renders(session).find(old.id)
        assert row is not None
        row.finished_at = utcnow() - timedelta(days=31)
    await rooms.retention.apply(ALL)
    assert [view.id for view in await rooms.renders.list()] == [young.id]
    assert names(settings.out_dir) == set(young.out_files)
    video = old.output("video")
    assert video is not None and not await blobs.exists(video.sha256)
    assert (await render_to_end(rooms, "old")).state is RenderState.DONE, (
        "its segment was kept and used again"
    )
    assert (await rooms.retention.plan(RetentionRules(render_days=None))).of("render") == []


async def test_segments_past_the_cache_size_go_first(rooms: Any, render_to_end: Any, blobs: Any) -> None:
    await render_to_end(rooms, "first")
    await render_to_end(rooms, "second")
    await render_to_end(rooms, "first")
    plan = await rooms.retention.apply(RetentionRules(segment_mib=0))
    assert len(plan.of("segment")) == 2 and plan.freed_bytes > 0
    again = await render_to_end(rooms, "second")
    assert again.state is RenderState.DONE
    assert [one.reused for one in (await rooms.renders.detail(again.id)).segments] == [False]


async def test_a_segment_that_a_render_in_hand_needs_is_never_collected(
    rooms: Any, render_to_end: Any
) -> None:
    cached = await render_to_end(rooms, "cached")
    await render_to_end(rooms, "not wanted any more")
    spec = (await rooms.renders.detail(cached.id)).spec.model_dump()
    slow = {**spec["scenes"][0], "id": "scene-2", "script": "!slow 4"}
    both = {**spec, "scenes": [spec["scenes"][0], slow]}
    view = await rooms.renders.create(RenderRequest.model_validate({"spec": both}))
    async with asyncio.timeout(60):
        async for event in rooms.renders.follow(view.id):
            if event.kind == "render.segment":
                break
    plan = await rooms.retention.apply(RetentionRules(segment_mib=0))
    assert len(plan.of("segment")) == 1
    assert (await rooms.renders.wait(view.id)).state is RenderState.DONE
    assert [one.reused for one in (await rooms.renders.detail(view.id)).segments] == [True, False]


async def test_over_quota_the_cache_goes_first_and_what_people_own_stays(
    rooms: Any, render_to_end: Any, blobs: Any
) -> None:
    asset = await upload(rooms, JPEG + bytes(900_000))
    film = await render_to_end(rooms, f"!large {700_000}")
    plan = await rooms.retention.apply(RetentionRules(quota_mib=2))
    assert len(plan.of("segment")) == 1 and plan.over_quota_bytes == 0
    video = film.output("video")
    assert {asset.sha256, video.sha256 if video else ""} <= await list_hashes(blobs)


async def test_what_stays_over_quota_is_told(studio_rooms: Any, blobs: Any) -> None:
    for number in range(2):
        await upload(studio_rooms, JPEG + bytes([number]) * 900_000)
    plan = await studio_rooms.retention.plan(RetentionRules(quota_mib=1))
    assert plan.items == [] and plan.over_quota_bytes == pytest.approx(2 * 902_000 - (1 << 20), abs=5000)


async def test_the_plan_is_shown_before_it_is_carried_out(client: Any, blobs: Any, studio_rooms: Any) -> None:
    await upload(studio_rooms)
    await blobs.put_bytes(b"nobody")
    await age(blobs, 25)
    usage = (await client.get("/api/storage")).json()
    assert usage == {"stored_bytes": 6 + len(JPEG), "held_bytes": {"asset": len(JPEG)}}
    plan = (await client.get("/api/storage/collection")).json()
    done = (await client.post("/api/storage/collection")).json()
    assert plan["items"] == done["items"] != [] and (plan["applied"], done["applied"]) == (False, True)


async def test_old_events_go_and_those_of_unfinished_renders_stay(
    studio_rooms: Any, events: Any, db: Any, client: Any
) -> None:
    ended = await studio_rooms.renders.create(RenderRequest(script="ended"))
    await studio_rooms.renders.cancel(ended.id)
    waiting = await studio_rooms.renders.create(RenderRequest(script="waits"))
    stays = await events.read(f"render:{waiting.id}")
    goes = len(await events.read()) - len(stays)
    async with db.transaction() as session:
        await session.execute(update(EventRow).values(at=utcnow() - timedelta(days=91)))
    assert (await studio_rooms.retention.plan(RetentionRules(event_days=92))).events == 0
    assert (await studio_rooms.retention.plan(RetentionRules(event_days=None))).events == 0
    plan = await studio_rooms.retention.plan()
    assert plan.events == goes > 1, "90 days are the default"
    assert len(await events.read()) == goes + len(stays), "a plan removes nothing"
    await studio_rooms.retention.apply()
    assert [event.id for event in await events.read()] == [event.id for event in stays]
    reported = await asyncio.wait_for(client.get(f"/api/renders/{ended.id}/events"), 60)
    assert reported.status_code == 204, "nobody waits for an end that is not told any more"
    assert (await asyncio.wait_for(studio_rooms.renders.wait(ended.id), 60)).state is RenderState.CANCELLED
