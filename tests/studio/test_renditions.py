"""Videos and sounds have posters, storyboards, peaks and proxies: made once by the real worker, on demand."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import Failed
from PIL import Image

from farm.failures import CRASHED
from farm.local import LocalOptions, LocalScheduler
from soundstage.database.tenants import require_tenant, tenant_scope
from soundstage.errors import SoundstageError, Unavailable
from studio.assets.schemas import AssetLabels
from studio.references.repository import References
from studio.renditions import service
from studio.renditions.service import PROXIES, RECIPES, RenditionKind
from studio.renditions.single_flight import SingleFlight
from studio.wiring import worker_cache

BIN = Path(__file__).parents[2] / "avatar" / ".venv" / "bin"
CONSENT = {"person": "Grace H.", "purpose": "courses", "granted_at": "2026-01-01"}
CLIP = """
import sys, av, numpy as np
with av.open(sys.argv[1], "w") as out:
    film = out.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
    film.width, film.height, film.pix_fmt = 640, 360, "yuv420p"
    hum = out.add_stream("aac", rate=48000, layout="mono")
    for n in range(30):
        grey = np.full((360, 640, 3), 40 + 5 * n, np.uint8)
        grey[:, :320] = 255
        out.mux(film.encode(av.VideoFrame.from_ndarray(grey, format="bgr24")))
    out.mux(film.encode(None))
    tone = np.sin(np.arange(48000 * 3) / 20).astype(np.float32)
    for at in range(0, len(tone), 1024):
        block = av.AudioFrame.from_ndarray(tone[None, at:at + 1024], "fltp", "mono")
        block.sample_rate, block.pts = 48000, at
        out.mux(hum.encode(block))
    out.mux(hum.encode(None))
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Three seconds of 640 x 360, ten pictures a second, with a tone."""
    assert os.access(BIN / "avatar", os.X_OK), "the worker is not installed: run `make setup`"
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    subprocess.run([str(BIN / "python"), "-c", CLIP, str(path)], check=True)
    return path.read_bytes()


@pytest.fixture
async def scheduler(settings: Any, blobs: Any) -> AsyncIterator[LocalScheduler]:
    """With the real worker."""
    options = LocalOptions((str(BIN / "avatar"),), settings.state_dir / "work", worker_cache(settings))
    created = LocalScheduler(blobs, options)
    yield created
    await created.close()


@pytest.fixture
def tasks(scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of all that the worker was asked for."""
    kinds: list[str] = []
    submit = scheduler.submit

    async def count_calls(task: Any) -> Any:
        kinds.append(task.kind)
        return await submit(task)

    monkeypatch.setattr(scheduler, "submit", count_calls)
    return kinds


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is slow: these tests are not about how long a request waits."""
    slow = {kind: replace(recipe, wait_s=300.0) for kind, recipe in RECIPES.items()}
    monkeypatch.setattr(service, "RECIPES", slow)


@pytest.fixture(autouse=True)
async def closing(studio_rooms: Any) -> AsyncIterator[None]:
    yield
    await studio_rooms.renditions.close()


async def upload(client: Any, content: bytes) -> dict[str, Any]:
    answer = await client.post("/api/assets?name=p", content=content)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_video_has_small_pictures_by_width_from_one_poster(
    client: Any, clip: bytes, tasks: list[str], db: Any
) -> None:
    asset = await upload(client, clip * 1)
    answers = await asyncio.gather(
        *(client.get(f"{asset['picture']}&width={width}") for width in (160, 160, 320, 640))
    )
    sizes = [Image.open(io.BytesIO(answer.content)).size for answer in answers]
    assert sizes == [(160, 90), (160, 90), (320, 180), (640, 360)] and tasks == ["poster"]
    first = answers[0]
    assert first.headers["content-type"] == "image/webp" and "immutable" in first.headers["cache-control"]
    again = await client.get(
        asset["picture"] + "&width=160", headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304
    await client.delete(f"/api/assets/{asset['id']}")
    async with db.session() as session:
        assert await References(session).holds_of_owner(f"asset:{asset['id']}") == []
    assert (await client.get(asset["picture"])).status_code == 404


async def test_a_storyboard_is_a_sheet_and_an_index_that_players_read(
    client: Any, clip: bytes, tasks: list[str]
) -> None:
    asset = await upload(client, clip)
    at = f"/api/assets/{asset['id']}/storyboard"
    index = (await client.get(f"{at}.json")).json()
    sheet = await client.get(index["sheet"])
    assert "immutable" in sheet.headers["cache-control"] and sheet.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(sheet.content)).size == (
        index["columns"] * index["tile_width"], index["rows"] * index["tile_height"],
    )  # fmt: skip
    assert (index["count"], index["interval_ms"], index["tile_width"], index["tile_height"]) == (
        6,
        500,
        160,
        90,
    )
    track = await client.get(f"{at}.vtt")
    assert track.headers["content-type"].startswith("text/vtt") and track.text.startswith("WEBVTT\n\n")
    assert track.text.count("-->") == 6
    assert f"00:00:00.500 --> 00:00:01.000\n{index['sheet']}#xywh=160,0,160,90\n" in track.text
    same = await client.get(f"{at}.vtt", headers={"If-None-Match": track.headers["etag"]})
    assert same.status_code == 304 and tasks == ["storyboard"]


async def test_peaks_of_videos_and_sounds_are_json_and_pictures_have_none(
    client: Any, clip: bytes, tasks: list[str]
) -> None:
    recording = io.BytesIO()
    with wave.open(recording, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(24_000)
        sound.writeframes(bytes(24_000) + b"\xff\x7f" * 12_000)
    for content, rate, length in ((clip, 48_000, 300), (recording.getvalue(), 24_000, 100)):
        asset = await upload(client, content)
        answer = await client.get(f"/api/assets/{asset['id']}/peaks?v={asset['sha256'][7:19]}")
        reported = answer.json()
        assert (reported["version"], reported["sample_rate"], reported["bits"]) == (2, rate, 8)
        assert abs(reported["length"] - length) <= 8 and len(reported["data"]) == 2 * reported["length"]
        assert "immutable" in answer.headers["cache-control"]
    assert reported["data"][:2] == [0, 0] and reported["data"][-2:] == [127, 127]
    assert tasks == ["peaks", "peaks"]
    written = io.BytesIO()
    Image.new("RGB", (8, 8)).save(written, "PNG")
    picture = await upload(client, written.getvalue())
    for what, code in (
        ("peaks", "asset.no_sound"),
        ("proxy", "asset.no_video"),
        ("storyboard", "asset.no_video"),
    ):
        answer = await client.get(f"/api/assets/{picture['id']}/{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_a_proxy_is_made_once_and_served_in_ranges(client: Any, clip: bytes, tasks: list[str]) -> None:
    asset = await upload(client, clip)
    answers = await asyncio.gather(*(client.get(f"/api/assets/{asset['id']}/proxy") for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200} and tasks == ["proxy"]
    assert answers[0].headers["content-type"] == "video/mp4" and answers[0].content[4:8] == b"ftyp"
    part = await client.get(f"/api/assets/{asset['id']}/proxy", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")


async def test_while_it_is_made_the_answer_says_when_to_come_again(
    client: Any, clip: bytes, tasks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = {kind: replace(recipe, wait_s=0.0) for kind, recipe in RECIPES.items()}
    monkeypatch.setattr(service, "RECIPES", hasty)
    asset = await upload(client, clip)
    address = f"/api/assets/{asset['id']}/storyboard"
    answer = await client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (503, "rendition.not_ready")
    assert answer.headers["retry-after"] == "5"
    async with asyncio.timeout(120):
        while (answer := await client.get(address)).status_code == 503:  # noqa: ASYNC110 - as callers do
            await asyncio.sleep(0.2)
    assert answer.status_code == 200 and tasks == ["storyboard"]


async def test_a_file_that_cannot_be_read_is_told_and_not_tried_for_each_request(
    client: Any, tasks: list[str]
) -> None:
    asset = await upload(client, b"\x00\x00\x00\x18ftypisom" + bytes(4000))
    for _ in range(3):
        answer = await client.get(asset["picture"])
        assert (answer.status_code, answer.json()["code"]) == (422, "media.unreadable")
    assert tasks == ["poster"]


async def test_what_crashes_the_worker_is_remembered_and_a_lost_machine_is_not() -> None:
    single_flight = SingleFlight("proxy", PROXIES)
    for code, known in ((CRASHED, True), ("worker.lost", False)):
        single_flight.remember(code, Failed(code=code, message="It ended."))
        assert (single_flight.recent_failure(code) is not None) == known


async def test_another_tenant_is_not_told_that_somebody_tried_the_same_bytes(
    studio_rooms: Any, client: Any, tasks: list[str]
) -> None:
    broken = b"\x00\x00\x00\x18ftypisom" + bytes(4000)
    assert (await client.get((await upload(client, broken))["picture"])).status_code == 422
    with tenant_scope("acme"):
        view = await store(studio_rooms, broken)
        with pytest.raises(SoundstageError) as refused:
            await studio_rooms.renditions.open(f"asset:{view.id}", view.sha256, RenditionKind.POSTER)
    assert refused.value.code == "media.unreadable" and tasks == ["poster", "poster"]


async def store(rooms: Any, content: bytes) -> Any:
    async def chunks() -> Any:
        yield content

    return await rooms.assets.upload(chunks(), AssetLabels())


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker comes to an end, and nobody waits for one."""

    async def hang(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(service, "run_and_keep", hang)
    monkeypatch.setattr(
        service, "RECIPES", {kind: replace(recipe, wait_s=0.0) for kind, recipe in RECIPES.items()}
    )


async def code_of(rooms: Any, view: Any, kind: RenditionKind) -> str:
    with pytest.raises(Unavailable) as refused:
        await rooms.renditions.open(f"asset:{view.id}", view.sha256, kind)
    return refused.value.code


@pytest.mark.usefixtures("hanging")
async def test_a_tenant_with_many_leaves_places_to_other_kinds_and_other_tenants(studio_rooms: Any) -> None:
    with tenant_scope("acme"):
        views = [await store(studio_rooms, b"\x00\x00\x00\x18ftypisom" + bytes(n)) for n in range(17)]
        proxies = [await code_of(studio_rooms, view, RenditionKind.PROXY) for view in views[:5]]
        posters = [await code_of(studio_rooms, view, RenditionKind.POSTER) for view in views]
    assert proxies == ["rendition.not_ready"] * 4 + ["rendition.busy"]
    assert posters == ["rendition.not_ready"] * 16 + ["rendition.busy"]
    view = await store(studio_rooms, b"\x00\x00\x00\x18ftypisom" + bytes(99))
    for kind in RenditionKind:
        assert await code_of(studio_rooms, view, kind) == "rendition.not_ready"


async def test_places_go_round_among_tenants() -> None:
    single_flight, turns = SingleFlight("proxy", PROXIES), []

    async def make(_: Any) -> None:
        turns.append(require_tenant())
        await asyncio.sleep(0)

    tasks = []
    for tenant in ("acme", "rival"):
        with tenant_scope(tenant):
            tasks += [single_flight.join(str(number), "asset:a", make) for number in range(3)]
    await asyncio.gather(*tasks)
    assert turns[:3] in (["acme", "rival", "acme"], ["acme", "rival", "rival"]), turns


async def test_assets_of_one_blob_share_what_is_made_of_it(
    client: Any, clip: bytes, tasks: list[str], db: Any
) -> None:
    assets = [await upload(client, clip) for _ in range(3)]
    await asyncio.gather(*(client.get(f"{asset['picture']}") for asset in assets[:2]))
    assert (await client.get(assets[2]["picture"])).status_code == 200 and tasks == ["poster"]
    async with db.session() as session:
        each = [dict(await References(session).holds_of_owner(f"asset:{asset['id']}")) for asset in assets]
    role = f"frame:{assets[0]['sha256'][7:19]}"
    assert len({held[role] for held in each}) == 1
    await client.delete(f"/api/assets/{assets[0]['id']}")
    assert (await client.get(assets[1]["picture"])).status_code == 200


@pytest.mark.usefixtures("hanging")
async def test_the_worker_ends_with_the_last_owner(studio_rooms: Any) -> None:
    one, two = [await store(studio_rooms, b"\x00\x00\x00\x18ftypisom" + bytes(9)) for _ in range(2)]
    for view in (one, two):
        assert await code_of(studio_rooms, view, RenditionKind.PROXY) == "rendition.not_ready"
    proxies = studio_rooms.renditions._single_flights[RenditionKind.PROXY]
    for view, left in ((one, 1), (two, 0)):
        await studio_rooms.assets.delete(view.id)
        assert len(proxies._in_flight) == left


async def unheld(db: Any, blobs: Any) -> set[str]:
    async with db.session() as session:
        held = await References(session).all_hashes()
    return {blob.sha256 async for blob in blobs.iterate()} - held


async def test_what_is_made_for_a_deleted_asset_ends_and_leaves_no_file(
    studio_rooms: Any, client: Any, clip: bytes, tasks: list[str], db: Any, blobs: Any
) -> None:
    gone, other = [await upload(client, clip) for _ in range(2)]
    waiting = [asyncio.create_task(client.get(f"/api/assets/{one['id']}/proxy")) for one in (gone, other)]
    async with asyncio.timeout(60):
        while not tasks:  # noqa: ASYNC110 - it begins on its own
            await asyncio.sleep(0.01)
    await client.delete(f"/api/assets/{gone['id']}")
    answers = await asyncio.gather(*waiting)
    assert (answers[0].status_code, answers[0].json()["code"]) == (404, "rendition.gone")
    assert answers[1].status_code == 200, "it is still made for the other"
    last = asyncio.create_task(client.get(f"/api/assets/{other['id']}/storyboard"))
    async with asyncio.timeout(60):
        while len(tasks) < 2:  # noqa: ASYNC110 - it begins on its own
            await asyncio.sleep(0.01)
    await client.delete(f"/api/assets/{other['id']}")
    assert (await last).json()["code"] == "rendition.gone"
    proxy = answers[1].headers["etag"].strip('"')
    left = {one for one in await unheld(db, blobs) if proxy not in one}
    assert left == {gone["sha256"]}, "the original waits for gc, and nothing else was stored"


async def test_no_file_stays_that_is_made_while_the_person_is_erased(
    studio_rooms: Any, client: Any, clip: bytes, db: Any, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await upload(client, clip)
    draft = {"name": "Grace", "media": asset["id"], "consent": CONSENT}
    persona = (await client.post("/api/personas", json=draft)).json()["persona"]
    created, erased = asyncio.Event(), asyncio.Event()
    hold = service.Renditions._hold

    async def late(self: Any, *arguments: Any) -> None:
        created.set()
        await erased.wait()
        await hold(self, *arguments)

    monkeypatch.setattr(service.Renditions, "_hold", late)
    waiting = asyncio.create_task(client.get(asset["picture"]))
    async with asyncio.timeout(60):
        await created.wait()
    erasing = asyncio.create_task(client.delete(f"/api/personas/{persona['id']}"))
    bounded = studio_rooms.renditions._single_flights.values()
    async with asyncio.timeout(60):
        while any(each._in_flight for each in bounded):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    erased.set()
    assert (await erasing).status_code == 200
    assert (await waiting).json()["code"] in ("rendition.stopped", "rendition.gone", "asset.not_found")
    assert [one async for one in blobs.iterate()] == []


async def test_a_file_is_dropped_when_another_process_deleted_its_owner(
    client: Any, clip: bytes, db: Any, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await upload(client, clip)
    hold = service.Renditions._hold

    async def late(self: Any, *arguments: Any) -> None:
        async with db.transaction() as session:
            await References(session).release(f"asset:{asset['id']}")
        await hold(self, *arguments)

    monkeypatch.setattr(service.Renditions, "_hold", late)
    assert (await client.get(asset["picture"])).json()["code"] == "rendition.gone"
    assert await unheld(db, blobs) == {asset["sha256"]}


async def test_what_an_owner_began_to_hold_while_it_was_removed_is_dropped(
    studio_rooms: Any, db: Any, blobs: Any
) -> None:
    blob = await blobs.put_bytes(b"late")
    async with db.transaction() as session:
        await References(session).hold("asset:gone", "frame:1", blob.sha256, 4)
    await studio_rooms.renditions.discard({"asset:gone"})
    assert await unheld(db, blobs) == set() and not await blobs.exists(blob.sha256)


async def test_another_tenant_sees_none(studio_rooms: Any, client: Any, clip: bytes) -> None:
    with tenant_scope("acme"):
        view = await store(studio_rooms, clip)
        files = await studio_rooms.renditions.open(f"asset:{view.id}", view.sha256, RenditionKind.POSTER)
        assert files["frame"][1].is_file()
    for what in ("thumbnail", "storyboard", "storyboard.json", "storyboard.vtt", "peaks", "proxy"):
        answer = await client.get(f"/api/assets/{view.id}/{what}")
        assert answer.json()["code"] == "asset.not_found", what


async def test_a_render_has_a_storyboard_of_its_video(client: Any, rooms: Any, render_to_end: Any) -> None:
    view = await render_to_end(rooms, "Hi.", preview=True)
    assert view.error is None, view.error
    [row] = (await client.get("/api/renders")).json()
    assert view.output("poster") is None and view.output("video").sha256[7:19] in row["picture"]
    small = await client.get(row["picture"])
    assert Image.open(io.BytesIO(small.content)).size == (320, 180)
    index = (await client.get(f"/api/renders/{view.id}/storyboard.json")).json()
    assert index["sheet"].startswith(f"/api/renders/{view.id}/storyboard?v=") and index["count"] >= 1
    assert (await client.get(index["sheet"])).headers["content-type"] == "image/webp"
    assert (await client.get(f"/api/renders/{view.id}/storyboard.vtt")).text.startswith("WEBVTT")
    assert (await client.get("/api/renders/rnd_no/storyboard")).json()["code"] == "render.not_found"
