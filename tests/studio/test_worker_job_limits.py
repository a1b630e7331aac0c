"""Jobs of the worker endpoint: how much they may fetch at a time, whose consent they need before that, and
what erasing the person takes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from loopback_http import Reply, Request, serving

from soundstage.database.tenants import tenant_scope
from soundstage.errors import TooManyRequests
from soundstage.settings import Settings
from soundstage.settings.outgoing import DownloadSettings
from studio.consents.schemas import ConsentDraft
from studio.renders.repository import Renders
from studio.worker_jobs.service import FetchSlots

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64)
CONSENT = {"person": "Grace H.", "purpose": "courses", "granted_at": "2026-01-01"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"downloads": DownloadSettings(loopback=True, timeout_s=20)})


class Files:
    """A server whose `/held.jpg` waits for `release`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.release = asyncio.Event()
        self.url = ""

    async def answer(self, request: Request) -> Reply | None:
        self.asked.append(request.path)
        if request.path == "/held.jpg":
            await self.release.wait()
        return Reply(200, WAV if request.path.endswith(".wav") else JPEG)

    def job(self, image: str = "/face.jpg", **more: Any) -> dict[str, Any]:
        named = {"image_url": self.url + image, "audio_url": f"{self.url}/speech.wav"}
        return {"job_type": "lipsync_only", **named, **more}


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    created = Files()
    async with serving(created.answer) as created.url:
        yield created


async def run(client: Any, job: dict[str, Any]) -> Any:
    return await client.post("/api/worker/run", json={"input": job})


async def nothing_stored(client: Any) -> bool:
    found = [(await client.get(f"/api/{noun}")).json() for noun in ("assets", "renders", "consents")]
    return found == [[], [], []]


async def test_a_tenant_fetches_for_two_jobs_at_a_time(client: Any, files: Files) -> None:
    held = [asyncio.create_task(run(client, files.job("/held.jpg", consent=CONSENT))) for _ in range(2)]
    async with asyncio.timeout(20):
        while len(files.asked) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    refused = await run(client, files.job(consent=CONSENT))
    assert (refused.status_code, refused.json()["code"]) == (429, "job.too_many_fetches"), refused.text
    assert int(refused.headers["retry-after"]) > 0 and files.asked == ["/held.jpg"] * 2
    files.release.set()
    assert [(await one).status_code for one in held] == [202, 202]
    assert (await run(client, files.job(consent=CONSENT))).status_code == 202


def test_all_tenants_together_fetch_for_four_jobs_at_a_time() -> None:
    slots = FetchSlots()
    with slots.take("a"), slots.take("a"), slots.take("b"):
        with pytest.raises(TooManyRequests), slots.take("a"):
            pass
        with slots.take("c"), pytest.raises(TooManyRequests) as refused, slots.take("d"):
            pass
        assert refused.value.status == 429 and refused.value.headers["Retry-After"]
        with slots.take("d"):
            pass


async def declare(length: str) -> AsyncIterator[str]:
    """URL of a picture that says `length`, sends its first bytes, and no more."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n".encode() + JPEG)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/face.jpg"
    server.close()


@pytest.mark.parametrize("length", [str((1 << 20) + 1), str(1 << 50), "9" * 5000])
async def test_a_file_that_says_it_is_too_large_is_not_read(client: Any, files: Files, length: str) -> None:
    async for url in declare(length):
        answer = await run(client, {**files.job(consent=CONSENT), "image_url": url})
        assert answer.json()["code"] in ("outgoing.answer_too_large", "job.not_fetched"), answer.text
    assert await nothing_stored(client)


async def test_a_file_for_which_there_is_no_room_is_not_read(
    client: Any, files: Files, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs._quota, "_limit_bytes", 1000 << 10)
    async for url in declare(str(1 << 20)):
        answer = await run(client, {**files.job(consent=CONSENT), "image_url": url})
        assert (answer.status_code, answer.json()["code"]) == (507, "blobs.quota_exceeded"), answer.text
    assert await nothing_stored(client)


async def test_files_of_a_refused_job_leave_the_disk_at_once(client: Any, files: Files, blobs: Any) -> None:
    refused = await run(client, {**files.job(consent=CONSENT), "audio_url": f"{files.url}/face2.jpg"})
    assert refused.json()["code"] == "job.wrong_file"
    assert [blob async for blob in blobs.iterate()] == [] and await nothing_stored(client)


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({"consent_id": "cns_invented"}, "consent.required"),
        ({"consent_id": ""}, "job.invalid"),
        ({"consent": {**CONSENT, "id": "cns_invented"}}, "consent.required"),
        ({"consent": {**CONSENT, "id": ""}}, "job.invalid"),
        ({"consent": {**CONSENT, "granted_at": "yesterday"}}, "job.invalid"),
    ],
)
async def test_nothing_is_fetched_for_a_consent_that_is_not_on_record(
    client: Any, files: Files, named: dict[str, Any], code: str
) -> None:
    answer = await run(client, files.job(**named))
    assert (answer.json()["code"], files.asked) == (code, []), answer.text


async def test_nothing_is_fetched_for_a_consent_taken_back_or_of_another_tenant(
    client: Any, files: Files, rooms: Any
) -> None:
    consent = (await client.post("/api/consents", json=CONSENT)).json()["id"]
    await rooms.consents.revoke(consent)
    answer = await run(client, files.job(consent_id=consent))
    assert (answer.status_code, answer.json()["code"]) == (403, "consent.revoked")
    with tenant_scope("rival"):
        theirs = (await rooms.consents.record(ConsentDraft.model_validate(CONSENT))).id
    answer = await run(client, files.job(consent_id=theirs))
    assert (answer.json()["code"], files.asked) == ("consent.required", [])


async def test_a_consent_in_a_job_is_not_recorded_for_a_render_that_is_refused(
    client: Any, files: Files, studio_rooms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_: Renders) -> int:
        return 1_000_000

    monkeypatch.setattr(Renders, "count_queued", full)
    answer = await run(client, files.job(consent=CONSENT))
    assert answer.json()["code"] == "render.queue_full" and len(files.asked) == 2
    assert await nothing_stored(client)


@pytest.mark.parametrize("recorded", [False, True])
async def test_erasing_a_person_takes_the_picture_that_was_fetched(
    client: Any, files: Files, studio_rooms: Any, blobs: Any, recorded: bool
) -> None:
    consent = (await client.post("/api/consents", json=CONSENT)).json()["id"] if recorded else None
    job = files.job(**({"consent_id": consent} if recorded else {"consent": CONSENT}))
    created = await run(client, job)
    assert created.status_code == 202, created.text
    [consent] = [one["id"] for one in (await client.get("/api/consents")).json()]
    by_name = {one["name"]: one for one in (await client.get("/api/assets")).json()}
    # Not by way of the render, which may be deleted long before.
    await studio_rooms.renders.cancel(created.json()["id"])
    await studio_rooms.renders.delete(created.json()["id"])
    plan = await studio_rooms.people.erase_consent(consent)
    assert plan.assets == [by_name["face.jpg"]["id"]] and plan.blobs == [by_name["face.jpg"]["sha256"]]
    assert [one["name"] for one in (await client.get("/api/assets")).json()] == ["speech.wav"]
    assert not await blobs.exists(by_name["face.jpg"]["sha256"])
