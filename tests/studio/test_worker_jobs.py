"""The worker endpoint: jobs of the older GPU worker become renders, by files that are fetched in bounds."""

from __future__ import annotations

import asyncio
import io
import os
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from loopback_http import Reply, Request, serving

from policy import Policy, Principal
from policy.keys.schemas import KeyRequest
from soundstage.database.tenants import tenant_scope
from soundstage.errors import SoundstageError
from soundstage.settings import Settings
from soundstage.settings.outgoing import DownloadSettings
from studio.outgoing import download_destinations
from studio.worker_jobs.routes import JobAnswer

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(range(256)) * 8
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64)
WORKER = Path(__file__).parents[2] / "avatar" / ".venv" / "bin" / "avatar"
DRAWN = Path(__file__).parents[1] / "avatar" / "photo" / "fixtures" / "drawn.png"
CONSENT = {"person": "Grace H.", "purpose": "courses", "granted_at": "2026-01-01"}
TOO_MUCH = 2 << 20
"""The studio of these tests takes 1 MiB."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The server of the files is on this machine."""
    return settings.model_copy(update={"downloads": DownloadSettings(loopback=True, timeout_s=2)})


@pytest.fixture
async def files() -> AsyncIterator[Any]:
    """URL of a server, and the paths that it was asked for."""
    requests: list[str] = []
    content = {"/face.jpg": JPEG, "/motion.mp4": MP4, "/speech.wav": WAV, "/page": b"<html>", "/empty": b""}

    async def answer(request: Request) -> Reply | None:
        requests.append(request.path)
        if request.path == "/elsewhere":
            return Reply(302, headers={"location": "http://169.254.169.254/"})
        if request.path == "/huge":
            return Reply(200, WAV + bytes(TOO_MUCH))
        if request.path == "/packed":
            return Reply(200, JPEG, {"content-encoding": "gzip"})
        if request.path == "/never":
            await asyncio.sleep(30)
        found = content.get(request.path)
        return Reply(404) if found is None else Reply(200, found)

    async with serving(answer) as url:
        yield url, requests


async def run(client: Any, job: dict[str, Any], **more: Any) -> Any:
    return await client.post("/api/worker/run", json={"id": "q-1", "input": job}, **more)


def lipsync(url: str, image: str = "/face.jpg", sound: str = "/speech.wav", **more: Any) -> dict[str, Any]:
    return {"job_type": "lipsync_only", "image_url": url + image, "audio_url": url + sound, **more}


async def test_a_picture_and_a_sound_become_a_video(client: Any, rooms: Any, files: Any) -> None:
    url, requests = files
    answer = await run(client, lipsync(url, consent=CONSENT, quality="draft"))
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["status"], job["output"], job["error"]) == ("IN_QUEUE", None, None)
    await rooms.renders.wait(job["id"])
    done = (await client.get(f"/api/worker/status/{job['id']}")).json()
    assert (done["status"], done["progress"], done["output"]["success"]) == ("COMPLETED", 1.0, True)
    assert {"video", "thumbnail"} <= set(done["output"]["output"])
    assert (await client.get(done["output"]["output"]["video"])).status_code == 200
    spec = (await client.get(f"/api/renders/{job['id']}")).json()["spec"]
    [scene] = spec["scenes"]
    assert scene["face"]["kind"] == "photo" and scene["face"]["consent"]["person"] == "Grace H."
    assert scene["audio"]["sha256"] and (scene["lead_in_ms"], scene["tail_ms"]) == (0, 0)
    assert (spec["output"]["video"]["crf"], spec["canvas"]["width"]) == (28, 1080)
    assert requests == ["/face.jpg", "/speech.wav"]
    assert {one["name"] for one in (await client.get("/api/assets")).json()} == {"face.jpg", "speech.wav"}


async def test_a_motion_video_keeps_its_size_as_a_lip_sync(client: Any, files: Any) -> None:
    consent = (await client.post("/api/consents", json=CONSENT)).json()["id"]
    job = (await run(client, lipsync(files[0], "/motion.mp4", consent_id=consent, title="Hi"))).json()
    render = (await client.get(f"/api/renders/{job['id']}")).json()
    assert (render["kind"], render["title"]) == ("lipsync", "Hi")
    assert render["spec"]["face"]["consent"]["id"] == consent


async def test_a_full_render_says_a_script_by_a_persona(client: Any) -> None:
    requests = {"job_type": "video_render", "script": "Hello there.", "persona": "nova", "duration": 5}
    job = (
        await run(client, {**requests, "format": {"width": 720, "height": 1280}, "captions": "none"})
    ).json()
    spec = (await client.get(f"/api/renders/{job['id']}")).json()["spec"]
    assert spec["scenes"][0]["voice"]["rate_wpm"] == 170, "the voice of the persona"
    assert (spec["scenes"][0]["duration_ms"], spec["canvas"]["height"]) == (5000, 1280)
    assert spec["output"]["captions"]["mode"] == "none"
    cancelled = await client.post(f"/api/worker/cancel/{job['id']}")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "CANCELLED")
    nobody = await run(client, {**requests, "persona": "nobody"})
    assert (nobody.status_code, nobody.json()["code"]) == (404, "persona.not_found")


@pytest.mark.parametrize(
    ("job", "code"),
    [
        ({"job_type": "image", "prompt": "a harbour", "width": 5}, "job.image_missing"),
        ({"job_type": "image_generation"}, "job.image_missing"),
        ({"job_type": "persona_build"}, "job.unknown_type"),
        ({}, "job.unknown_type"),
        ({"job_type": "lipsync_only", "image_url": "https://a.example/x"}, "job.invalid"),
        ({"job_type": "full_render"}, "job.invalid"),
        ({"job_type": "full_render", "script": "x", "music_url": "https://a.example/x"}, "job.invalid"),
        ({"job_type": "full_render", "script": "x", "format": {"width": 3, "height": 3}}, "job.invalid"),
    ],
)
async def test_what_cannot_be_made_is_refused_with_its_reason(client: Any, job: Any, code: str) -> None:
    answer = await run(client, job)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert answer.json()["hint"] and (await client.get("/api/renders")).json() == []


@pytest.mark.parametrize("body", [{}, {"input": 5}, {"input": []}, []])
async def test_what_is_no_job_at_all_is_refused(client: Any, body: Any) -> None:
    answer = await client.post("/api/worker/run", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


async def test_a_face_without_a_consent_is_not_even_fetched(client: Any, files: Any) -> None:
    url, requests = files
    answer = await run(client, lipsync(url))
    assert (answer.status_code, answer.json()["code"], requests) == (403, "consent.required", [])
    unknown = await run(client, lipsync(url, consent_id="cns_invented"))
    assert (unknown.status_code, unknown.json()["code"], requests) == (403, "consent.required", [])


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/missing", "job.not_fetched"),
        ("/elsewhere", "job.not_fetched"),
        ("/packed", "job.not_fetched"),
        ("/never", "outgoing.answer_too_slow"),
        ("/huge", "outgoing.answer_too_large"),
        ("/page", None),
        ("/empty", None),
        ("/face.jpg", "job.wrong_file"),
    ],
)
async def test_a_server_that_misbehaves_leaves_nothing_behind(
    client: Any, files: Any, path: str, code: str | None
) -> None:
    answer = await run(client, lipsync(files[0], sound=f"{path}?key=s3cr3t", consent=CONSENT))
    assert answer.status_code >= 400 and "s3cr3t" not in answer.text, answer.text
    assert code is None or answer.json()["code"] == code, answer.text
    for noun in ("assets", "renders", "consents"):
        assert (await client.get(f"/api/{noun}")).json() == [], noun


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8000/x", "http://[::ffff:127.0.0.1]:8000/x", "https://169.254.169.254/latest",
     "https://10.0.0.1/x", "file:///etc/passwd", "https://user:word@127.0.0.1/x"],
)  # fmt: skip
async def test_no_url_leads_to_our_own_listeners_or_inside(client: Any, files: Any, address: str) -> None:
    job = {**lipsync(files[0], consent=CONSENT), "image_url": address}
    answer = await run(client, job)
    assert answer.json()["code"] in (
        "outgoing.own_listener", "outgoing.address_refused", "outgoing.bad_url",
    ), answer.text  # fmt: skip
    assert files[1] == []


def test_this_machine_and_private_networks_are_closed_unless_the_operator_opens_them() -> None:
    closed, opened = (
        download_destinations(Settings.model_validate({"downloads": chosen}))
        for chosen in ({}, {"loopback": True, "private_addresses": True})
    )
    assert closed.networks == () and len(opened.networks) > 2
    assert not closed.named_by_operator and not closed.plain_http


async def test_who_may_make_videos_alone_may_not_bring_files_or_consents(
    client: Any, files: Any, db: Any, settings: Any, events: Any
) -> None:
    policy = Policy.open(settings, db, events)
    url, requests = files
    expected = {
        ("render:create",): 403,
        ("render:create", "asset:create"): 403,
        ("render:create", "asset:create", "consent:create"): 202,
    }
    for scopes, status in expected.items():
        async with db.transaction() as session:
            request = KeyRequest(name=f"key-{len(scopes)}", role="editor", scopes=list(scopes))
            created = await policy.keys.create(session, request, Principal.local_admin())
        headers = {"Authorization": f"Bearer {created.key}"}
        answer = await run(client, lipsync(url, consent=CONSENT), headers=headers)
        assert answer.status_code == status, answer.text
    assert len(requests) == 2, "only the last one was fetched"


async def test_the_real_worker_makes_a_lipsync_only_job(drawing: Any) -> None:
    assert os.access(WORKER, os.X_OK), "the worker is not installed: run `make setup`"
    content = {"/face.png": DRAWN.read_bytes(), "/speech.wav": tone(1.2)}

    async def answer(request: Request) -> Reply | None:
        return Reply(200, content[request.path])

    created = drawing(str(WORKER))
    async with created.dispatcher, serving(answer) as url:
        job = lipsync(url, "/face.png", consent=CONSENT, format={"width": 256, "height": 256, "fps": 10})
        view = await created.worker_jobs.run(job, Principal.local_admin())
        done = JobAnswer.of(await created.renders.wait(view.id))
    assert done.status == "COMPLETED", done
    assert done.output is not None and abs((done.output.duration_ms or 0) - 1200) <= 100


def tone(seconds: float) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as target:
        target.setparams((1, 2, 16_000, 0, "NONE", ""))
        target.writeframes(bytes([0, 16, 0, 240]) * int(8_000 * seconds))
    return buffer.getvalue()


async def test_a_job_of_another_tenant_is_not_there(client: Any, rooms: Any) -> None:
    job = (await run(client, {"job_type": "full_render", "script": "Hello."})).json()
    assert (await client.get("/api/worker/status/rnd_nothing")).json()["code"] == "render.not_found"
    with tenant_scope("rival"), pytest.raises(SoundstageError) as refused:
        await rooms.renders.get(job["id"])
    assert refused.value.code == "render.not_found"
