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
from soundstage.database.tenants import working_for
from soundstage.errors import SoundstageError, Unavailable
from studio.assets.schemas import AssetLabels
from studio.references.repository import References
from studio.renditions import service
from studio.renditions.service import RECIPES, RenditionKind
from studio.wiring import worker_cache

BIN = Path(__file__).parents[2] / "avatar" / ".venv" / "bin"
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
    made = LocalScheduler(blobs, options)
    yield made
    await made.close()


@pytest.fixture
def tasks(scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of all that the worker was asked for."""
    kinds: list[str] = []
    submit = scheduler.submit

    async def counted(task: Any) -> Any:
        kinds.append(task.kind)
        return await submit(task)

    monkeypatch.setattr(scheduler, "submit", counted)
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
        assert await References(session).held_by(f"asset:{asset['id']}") == []
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
        told = answer.json()
        assert (told["version"], told["sample_rate"], told["bits"]) == (2, rate, 8)
        assert abs(told["length"] - length) <= 8 and len(told["data"]) == 2 * told["length"]
        assert "immutable" in answer.headers["cache-control"]
    assert told["data"][:2] == [0, 0] and told["data"][-2:] == [127, 127]
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


async def test_what_crashes_the_worker_is_remembered_and_a_lost_machine_is_not(studio_rooms: Any) -> None:
    renditions = studio_rooms.renditions
    for code, known in ((CRASHED, True), ("worker.lost", False)):
        sha256 = f"sha256:{code}"
        renditions._remember(sha256, RenditionKind.PROXY, Failed(code=code, message="It ended."))
        if known:
            with pytest.raises(SoundstageError):
                renditions._refuse_known_failure(sha256, RenditionKind.PROXY)
        else:
            renditions._refuse_known_failure(sha256, RenditionKind.PROXY)


async def test_only_so_many_wait_at_once(
    studio_rooms: Any, client: Any, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_PENDING", 1)
    renditions = studio_rooms.renditions
    one, two = [await upload(client, clip + bytes(number)) for number in (1, 2)]
    first = asyncio.create_task(renditions.open(f"asset:{one['id']}", one["sha256"], RenditionKind.PROXY))
    while not renditions._making:  # noqa: ASYNC110 - it begins on its own
        await asyncio.sleep(0.01)
    with pytest.raises(Unavailable) as refused:
        await renditions.open(f"asset:{two['id']}", two["sha256"], RenditionKind.PROXY)
    assert refused.value.code == "rendition.busy"
    assert "proxy" in await first


async def test_another_tenant_sees_none(studio_rooms: Any, client: Any, clip: bytes) -> None:
    async def chunks() -> Any:
        yield clip

    with working_for("acme"):
        view = await studio_rooms.assets.upload(chunks(), AssetLabels())
        files = await studio_rooms.renditions.open(f"asset:{view.id}", view.sha256, RenditionKind.POSTER)
        assert files["frame"][1].is_file()
    for what in ("thumbnail", "storyboard", "storyboard.json", "storyboard.vtt", "peaks", "proxy"):
        answer = await client.get(f"/api/assets/{view.id}/{what}")
        assert answer.json()["code"] == "asset.not_found", what


async def test_a_render_has_a_storyboard_of_its_video(client: Any, rooms: Any, made: Any) -> None:
    view = await made(rooms, "Hi.", preview=True)
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
