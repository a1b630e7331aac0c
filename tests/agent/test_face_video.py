"""Presenters as video tracks: what server and worker tell each other, and the process that draws."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from face_worker import WAIT_S, message_of, serving
from own_persona import PHOTO, photographed
from waiting import eventually_async
from websockets.asyncio.client import connect

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")

from avatar.spec import RenderSpec
from avatar.spec.speech_sheet import SpeechSheet, TimedPhone

from agent.voice.worker import face_video, live_face
from agent.voice.worker.face_video import FaceVideo
from agent.voice.worker.link import SessionLink, Sound
from agent.voice.worker.live_face import LiveFace, Picture
from app.composition import Services
from soundstage.backoff import Backoff
from soundstage.errors import Unavailable, Upstream
from soundstage.settings.conversation import VoiceSettings
from studio.personas.live_face import hashes_in
from studio.personas.speaking import PersonaSpeech, Utterance

ROOT = Path(__file__).parents[2]
AVATAR = ROOT / "avatar/.venv/bin/avatar"
SMALL = RenderSpec.model_validate(
    {
        "canvas": {"width": 320, "height": 180, "fps": 25},
        "scenes": [{"id": "live", "script": "Hello.", "face": {"kind": "rig", "character": "milo"}}],
    }
)


def silence_wav(seconds: int) -> str:
    """Returns silence as a WAV file in base64."""
    with io.BytesIO() as target:
        with wave.open(target, "wb") as file:
            file.setparams((1, 2, 24_000, 0, "NONE", ""))
            file.writeframes(bytes(2 * 24_000 * seconds))
        return base64.b64encode(target.getvalue()).decode()


SENTENCE = Sound(
    "Papa.",
    bytes(2 * 24_000),
    24_000,
    {"duration_ms": 1000, "words": [{"text": "Papa.", "start_ms": 0, "end_ms": 1000}], "emotion": "happy"},
    [
        {"ipa": ipa, "start_ms": at, "end_ms": at + 250}
        for at, ipa in ((0, "p"), (250, "ɑ"), (500, "p"), (750, "ɑ"))
    ],
    silence_wav(1),
)
needs_avatar = pytest.mark.skipif(not AVATAR.is_file(), reason="needs the worker: run `scripts/setup test`")


async def no_file(sha256: str) -> bytes:
    raise AssertionError(f"{sha256} is not needed")


async def never() -> None: ...


class Reports:
    """A link whose messages are kept."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.link = SessionLink("ses_1", never)
        self.link.send = self.keep

    async def keep(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


@asynccontextmanager
async def show_face(*command: str) -> AsyncIterator[tuple[FaceVideo, list[float], Reports]]:
    """A face, when its pictures came, and what it reported."""
    reports, times = Reports(), list[float]()
    face = FaceVideo(reports.link, command, no_file, 0.0)

    async def keep(picture: Picture) -> None:
        assert (picture.width, picture.height, len(picture.data)) == (320, 180, 320 * 180 * 3 // 2)
        times.append(picture.at_s)

    face.sink = keep
    face.change(SMALL.model_dump(mode="json"))
    try:
        yield face, times, reports
    finally:
        await face.close()


@needs_avatar
async def test_pictures_come_while_a_sentence_is_said_and_end_with_the_face() -> None:
    async with show_face(str(AVATAR)) as (face, times, reports):
        face.show_state("listening")
        await eventually_async(lambda: len(times) > 5, "pictures", WAIT_S)
        number = face.prepare(SENTENCE)
        face.begin(number)
        await eventually_async(lambda: len(times) > 30, "pictures of a sentence", WAIT_S)
        face.hush()
        face.change(None)
        await eventually_async(lambda: face._face is None, "the end", WAIT_S)
        assert reports.messages == []


@needs_avatar
async def test_a_program_that_is_killed_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_video, "PAUSE", Backoff(first_s=0.01, longest_s=0.01))
    async with show_face(str(AVATAR)) as (face, times, reports):
        for _ in range(face_video.RESTARTS):
            count = len(times)
            await eventually_async(lambda before=count: len(times) > before + 2, "pictures", WAIT_S)
            running = face._face
            assert running is not None and running._started is not None
            running._started.process.kill()
            await eventually_async(lambda gone=running: face._face is not gone, "another process", WAIT_S)
        await eventually_async(lambda: face._face is not None and face._face._started, "the last", WAIT_S)
        assert reports.messages == []
        face._face._started.process.kill()
        await eventually_async(lambda: bool(reports.messages), "the report", WAIT_S)
    (report,) = reports.messages
    assert (report["type"], report["code"]) == ("face_failed", "voice.face_ended")


@needs_avatar
async def test_what_the_program_refuses_is_reported_at_once() -> None:
    canvas = SMALL.canvas.model_copy(update={"height": 182})
    face = LiveFace([str(AVATAR)], SMALL.model_copy(update={"canvas": canvas}), no_file)
    with pytest.raises(Upstream) as caught:
        async for _ in face.pictures():
            raise AssertionError("a picture")
    assert caught.value.code == "live.bad_canvas"


async def test_a_program_that_is_not_there_is_reported() -> None:
    async with show_face("/nowhere/avatar") as (_, _, reports):
        await eventually_async(lambda: bool(reports.messages), "the report", WAIT_S)
    (report,) = reports.messages
    assert report["code"] == "voice.no_face_program" and "/nowhere/avatar" in report["message"]


async def test_a_program_that_draws_nothing_is_ended_with_all_that_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_face, "OPEN_TIMEOUT_S", 0.5)
    program, child = tmp_path / "avatar", tmp_path / "child"
    # The child holds the pipes open.
    program.write_text(f"#!/bin/sh\nsleep 300 & echo $! > {child}\ntrap '' TERM\nwait\n")
    program.chmod(0o755)
    with pytest.raises(Unavailable) as caught:
        async for _ in LiveFace([str(program)], SMALL, no_file).pictures():
            raise AssertionError("a picture")
    assert caught.value.code == "voice.face_ended" and "0 s" in caught.value.message
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)


def test_what_a_killed_worker_has_left_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    for owner in (gone.pid, os.getpid()):
        (tmp_path / f"voice-face-{owner}-photo").mkdir()
        (tmp_path / f"voice-face-{owner}-photo" / "face.jpg").write_bytes(PHOTO)
        (tmp_path / f"voice-face-{owner}-memory").write_bytes(b"")
    (tmp_path / "voice-face-of-others").mkdir()
    live_face.remove_left_over(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"voice-face-{os.getpid()}-{one}" for one in ("photo", "memory")} | {
        "voice-face-of-others"
    }


async def test_sentences_begin_by_their_number(tmp_path: Path) -> None:
    orders = tmp_path / "orders"
    program = tmp_path / "avatar"
    program.write_text(f"#!/bin/sh\necho '{{}}'\ncat > {orders}\n")
    program.chmod(0o755)
    async with show_face(str(program)) as (face, _, _):
        # The first order is the state: what came before the program was there is dropped.
        await eventually_async(lambda: orders.exists() and orders.read_text(), "the program", WAIT_S)
        first, second = face.prepare(SENTENCE), face.prepare(SENTENCE)
        # The first one was never heard: its pipeline has ended.
        face.begin(second)
        await eventually_async(lambda: '"begin"' in orders.read_text(), "the order", WAIT_S)
    begun = [json.loads(line) for line in orders.read_text().splitlines() if '"begin"' in line]
    assert [one["id"] for one in begun] == [second] and first != second


async def test_of_pictures_that_wait_the_latest_alone_is_taken(tmp_path: Path) -> None:
    program = tmp_path / "avatar"
    program.write_text(
        "#!/usr/bin/env python3\nimport json, sys\n"
        "frames = [{'event': 'live.frame', 'slot': slot, 'at_s': slot} for slot in range(3)]\n"
        "sys.stdout.write(''.join(json.dumps(frame) + '\\n' for frame in frames))\n"
    )
    program.chmod(0o755)
    face = LiveFace([str(program)], SMALL, no_file)
    found = []
    with suppress(Unavailable):
        async for picture in face.pictures():
            found.append(picture)
    assert [picture.at_s for picture in found] == [2.0] and face.dropped == 2


async def test_a_session_with_video_names_its_presenter_to_the_worker(services: Services) -> None:
    sha256 = await photographed(services)
    async with serving(services) as (client, workers, token, _):
        refused = await client.post("/api/voice/session", json={"transport": "websocket", "video": True})
        assert (refused.status_code, refused.json()["code"]) == (422, "voice.no_video")
        opened = (await client.post("/api/voice/session", json={"agent_id": "grace", "video": True})).json()
        assert (opened["transport"], opened["video"]) == ("webrtc", True)
        session = f"{workers}/{opened['session_id']}"
        async with connect(f"ws://{session}", additional_headers=token) as worker:
            spec = RenderSpec.model_validate((await message_of(worker, "face"))["spec"])
            assert (spec.canvas.width, spec.canvas.height) == (1280, 720)
            assert hashes_in(spec) == {sha256} and spec.scenes[0].face.consent.person == "Grace H."
            files = f"http://{session}/files"
            async with httpx.AsyncClient(headers=token, timeout=WAIT_S) as of_worker:
                assert (await of_worker.get(f"{files}/{sha256}")).content == PHOTO
                foreign = await of_worker.get(f"{files}/sha256:{'0' * 64}")
                assert (foreign.status_code, foreign.json()["code"]) == (404, "blob.not_found")
            assert (await client.get(f"{files}/{sha256}")).status_code == 401, "a person is no worker"
            again = {"session_id": opened["session_id"], "agent_id": "nova"}
            changed = await client.post("/api/voice/session", json={**again, "video": True})
            assert changed.status_code == 201, changed.text
            drawn = RenderSpec.model_validate((await message_of(worker, "face"))["spec"])
            assert drawn.scenes[0].face.kind == "rig"
            ended = (await client.post("/api/voice/session", json={**again, "transport": "webrtc"})).json()
            assert not ended["video"] and (await message_of(worker, "face"))["spec"] is None


async def test_a_revoked_consent_ends_the_video_and_its_files(services: Services) -> None:
    sha256 = await photographed(services)
    async with serving(services) as (client, workers, token, _):
        opened = (await client.post("/api/voice/session", json={"agent_id": "grace", "video": True})).json()
        files = f"http://{workers}/{opened['session_id']}/files/{sha256}"
        async with connect(f"ws://{workers}/{opened['session_id']}", additional_headers=token) as worker:
            assert (await message_of(worker, "face"))["spec"] is not None
            await worker.send(json.dumps({"type": "presence", "connected": True}))
            (consent,) = (await client.get("/api/consents")).json()
            revoked = await client.post(f"/api/consents/{consent['id']}/revoke", json={})
            assert revoked.is_success, revoked.text
            async with httpx.AsyncClient(headers=token, timeout=WAIT_S) as of_worker:
                assert (await of_worker.get(files)).status_code == 404
            assert (await message_of(worker, "face"))["spec"] is None
            while (message := await message_of(worker, "show"))["message"]["type"] != "error":
                continue
            assert message["message"]["code"] == "consent.revoked"
        assert not (await client.get(f"/api/voice/session/{opened['session_id']}")).json()["video"]


async def test_videos_are_limited(services: Services) -> None:
    services.voice_transports.settings = VoiceSettings(max_videos=1)
    async with serving(services) as (client, *_):
        opened = (await client.post("/api/voice/session", json={"video": True})).json()
        more = await client.post("/api/voice/session", json={"video": True})
        assert (more.status_code, more.json()["code"]) == (503, "voice.too_many_videos")
        again = {"session_id": opened["session_id"], "video": True}
        assert (await client.post("/api/voice/session", json=again)).is_success


async def test_a_presenter_who_cannot_be_shown_is_named_and_the_session_goes_on(services: Services) -> None:
    async with serving(services) as (client, workers, token, _):
        opened = (await client.post("/api/voice/session", json={"video": True})).json()
        async with connect(f"ws://{workers}/{opened['session_id']}", additional_headers=token) as worker:
            await message_of(worker, "face")
            failure = {"code": "voice.face_ended", "message": "It has ended.", "hint": "Look into its log."}
            await worker.send(json.dumps({"type": "face_failed", **failure}))
            # Who connects later is told, too.
            await worker.send(json.dumps({"type": "presence", "connected": True}))
            while (message := await message_of(worker, "show"))["message"]["type"] != "error":
                continue
            assert message["message"] == {"type": "error", **failure}
            view = (await client.get(f"/api/voice/session/{opened['session_id']}")).json()
            assert view["video"] and view["connected"]


async def test_phones_come_with_the_sound_only_where_a_face_needs_them(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = SpeechSheet(
        duration_ms=80,
        sample_rate_hz=16_000,
        words=(),
        visemes=(),
        phones=(TimedPhone(ipa="h", start_ms=0, end_ms=80),),
        level=(),
        phone_source="engine",
    )

    async def say(*_: object) -> Utterance:
        return Utterance(b"RIFF", sheet)

    monkeypatch.setattr(PersonaSpeech, "say", say)
    async with serving(services) as (client, workers, token, _):
        found = []
        for video in (True, False):
            body = {"transport": "webrtc", "video": video}
            opened = (await client.post("/api/voice/session", json=body)).json()
            async with connect(f"ws://{workers}/{opened['session_id']}", additional_headers=token) as worker:
                await worker.send(json.dumps({"type": "speak", "ref": 1, "text": "Hello."}))
                found.append(await message_of(worker, "sound"))
    assert [one["ipa"] for one in found[0]["phones"]] == ["h"] and "phones" not in found[1]
