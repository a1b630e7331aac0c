"""`imageUrl` of a persona leads to a small picture of its face, for who may read personas."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from policy import Policy, Principal
from policy.keys.schemas import KeyRequest
from soundstage.database.tenants import tenant_scope
from soundstage.errors import SoundstageError
from studio.personas import pictures
from studio.personas.schemas import PersonaDraft
from studio.references.repository import References
from studio.thumbnails.service import ThumbnailWidth

WORKER = Path(__file__).parents[2] / "avatar" / ".venv" / "bin" / "avatar"
CONSENT = {"person": "Grace H.", "purpose": "courses", "granted_at": "2026-01-01"}


def photo(colour: str = "#3060a0") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (900, 700), colour).save(written, "JPEG")
    return written.getvalue()


async def grace(rooms: Any, blobs: Any) -> str:
    blob = await blobs.put_bytes(photo(), "image/jpeg")
    async with rooms.personas.db.transaction() as session:
        await References(session).hold("asset:one", "file", blob.sha256, blob.bytes)
    draft = PersonaDraft.model_validate({"name": "Grace", "media": blob.sha256, "consent": CONSENT})
    created: str = (await rooms.personas.create(draft)).persona.id
    return created


async def test_the_picture_of_a_photo_is_the_photo_made_small(client: Any, rooms: Any, blobs: Any) -> None:
    persona_id = await grace(rooms, blobs)
    shown = (await client.get(f"/api/personas/{persona_id}")).json()
    entries = {one["id"]: one for one in (await client.get("/api/personas")).json()}
    assert shown["imageUrl"] == entries[persona_id]["imageUrl"]
    answer = await client.get(shown["imageUrl"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp"), answer.text
    assert "immutable" in answer.headers["cache-control"] and "private" in answer.headers["cache-control"]
    assert Image.open(io.BytesIO(answer.content)).size == (640, 498)
    small = await client.get(f"{shown['imageUrl']}&width=160")
    assert Image.open(io.BytesIO(small.content)).size == (160, 124)
    assert (await client.get(f"/api/personas/{persona_id}/image?width=161")).status_code == 422
    changed = (await client.patch(f"/api/personas/{persona_id}", json={"title": "Admiral"})).json()
    assert changed["imageUrl"] == shown["imageUrl"], "the face is the same"


async def test_the_answer_that_makes_a_persona_names_its_picture(client: Any, rooms: Any, blobs: Any) -> None:
    uploaded = await client.post("/api/assets?name=a.jpg", content=photo())
    body = {"name": "Grace", "media": uploaded.json()["id"], "consent": CONSENT}
    created = await client.post("/api/personas", json=body)
    assert created.status_code == 201, created.text
    assert created.json()["persona"]["imageUrl"].startswith("/api/personas/grace/image?v=")


async def test_a_face_whose_consent_was_taken_back_is_not_shown(client: Any, rooms: Any, blobs: Any) -> None:
    persona_id = await grace(rooms, blobs)
    consent = rooms.library.get(persona_id).face.consent.id
    assert (await client.post(f"/api/consents/{consent}/revoke")).status_code == 200
    answer = await client.get(f"/api/personas/{persona_id}/image")
    assert (answer.status_code, answer.json()["code"]) == (403, "consent.revoked")
    # Pictures are for readers of personas; who agreed to what is for readers of consents.
    assert CONSENT["person"] not in answer.text and consent not in answer.text


async def test_nothing_of_the_picture_outlives_the_persona(client: Any, rooms: Any, blobs: Any) -> None:
    persona_id = await grace(rooms, blobs)
    thumbnail, _ = await rooms.persona_pictures.open(persona_id, ThumbnailWidth.SMALL)
    assert await blobs.exists(thumbnail)
    assert (await client.delete(f"/api/personas/{persona_id}")).status_code == 200
    assert not await blobs.exists(thumbnail)
    answer = await client.get(f"/api/personas/{persona_id}/image")
    assert (answer.status_code, answer.json()["code"]) == (404, "persona.not_found")


async def test_who_may_not_read_personas_and_other_tenants_see_no_picture(
    client: Any, rooms: Any, blobs: Any, db: Any, settings: Any, events: Any
) -> None:
    persona_id = await grace(rooms, blobs)
    policy = Policy.open(settings, db, events)
    async with db.transaction() as session:
        request = KeyRequest(name="s", role="viewer", scopes=["render:read"])
        created = await policy.keys.create(session, request, Principal.local_admin())
    headers = {"Authorization": f"Bearer {created.key}"}
    answer = await client.get(f"/api/personas/{persona_id}/image", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.forbidden")
    with tenant_scope("rival"), pytest.raises(SoundstageError) as refused:
        await rooms.persona_pictures.open(persona_id, ThumbnailWidth.SMALL)
    assert refused.value.code == "persona.not_found"


async def test_without_a_worker_it_says_what_is_missing(new_studio: Any) -> None:
    studio = new_studio(speech_worker_binary="no-such-worker")
    with pytest.raises(SoundstageError) as refused:
        await studio.persona_pictures.open("nova", ThumbnailWidth.SMALL)
    assert (refused.value.code, refused.value.status) == ("persona.no_worker", 503)


async def test_the_real_worker_draws_a_drawn_character_once_and_anew_when_its_face_changes(
    settings: Any, db: Any, drawing: Any
) -> None:
    assert os.access(WORKER, os.X_OK), "the worker is not installed: run `make setup`"
    studio = drawing(str(WORKER))
    drawer = studio.persona_pictures
    first, path = await drawer.open("nova", ThumbnailWidth.MEDIUM)
    drawn = Image.open(path)
    assert drawn.size == (640, 640) and len(drawn.getcolors(640 * 640) or []) > 500, "a face, no plain colour"
    async with db.session() as session:
        before = dict(await References(session).holds_of_owner("persona:nova"))
    assert (await drawer.open("nova", ThumbnailWidth.MEDIUM))[0] == first
    async with db.session() as session:
        assert dict(await References(session).holds_of_owner("persona:nova")) == before
    (settings.personas_folder / "nova.yaml").write_text(
        "id: nova\nname: Nova\nface: {kind: rig, character: milo}\n"
    )
    second, _ = await drawer.open("nova", ThumbnailWidth.MEDIUM)
    assert second != first
    async with db.session() as session:
        after = dict(await References(session).holds_of_owner("persona:nova"))
    assert len(after) == 2 and not set(after) & set(before), "that of the earlier face is let go"


async def store(blobs: Any) -> set[str]:
    return {one.sha256 async for one in blobs.iterate()}


async def test_a_picture_that_cannot_be_drawn_is_not_tried_for_each_request(
    drawing: Any, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio, tried = drawing(sys.executable, "-c", "raise SystemExit(3)"), []
    submit = studio.persona_pictures.scheduler.submit

    async def count_calls(task: Any) -> Any:
        tried.append(task.id)
        return await submit(task)

    monkeypatch.setattr(studio.persona_pictures.scheduler, "submit", count_calls)
    for _ in range(3):
        with pytest.raises(SoundstageError) as refused:
            await studio.persona_pictures.open("nova", ThumbnailWidth.SMALL)
        assert refused.value.status == 502
    assert len(tried) == 1
    assert await store(blobs) == set(), "what the worker was asked is not kept"


async def test_a_picture_that_takes_long_says_when_to_come_again_and_few_wait(
    drawing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures_of = drawing(sys.executable, "-c", "import time; time.sleep(600)").persona_pictures
    monkeypatch.setattr(pictures, "WAIT_S", 0.0)
    with pytest.raises(SoundstageError) as refused:
        await pictures_of.open("nova", ThumbnailWidth.SMALL)
    assert (refused.value.status, refused.value.code) == (503, "persona.picture_not_ready")
    assert refused.value.headers == {"Retry-After": "5"}
    monkeypatch.setattr(pictures_of._single_flight, "bounds", replace(pictures.BOUNDS, pending_of_tenant=1))
    pictures_of.library.save(pictures_of.library.get("nova").model_copy(update={"id": "twin"}))
    with pytest.raises(SoundstageError) as refused:
        await pictures_of.open("twin", ThumbnailWidth.SMALL)
    assert (refused.value.status, refused.value.code) == (503, "persona.pictures_busy")
    await pictures_of.close()


async def test_no_picture_stays_that_is_drawn_while_the_persona_goes(
    drawing: Any, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = drawing(str(WORKER))
    studio.library.save(studio.library.get("nova").model_copy(update={"id": "twin"}))
    drawn, gone = asyncio.Event(), asyncio.Event()
    hold = pictures.PersonaPictures._hold

    async def late(self: Any, *arguments: Any) -> None:
        drawn.set()
        await gone.wait()
        await hold(self, *arguments)

    monkeypatch.setattr(pictures.PersonaPictures, "_hold", late)
    waiting = asyncio.create_task(studio.persona_pictures.open("twin", ThumbnailWidth.SMALL))
    async with asyncio.timeout(120):
        await drawn.wait()
    erasing = asyncio.create_task(studio.people.erase_persona("twin"))
    async with asyncio.timeout(60):
        while studio.persona_pictures._single_flight._in_flight:  # noqa: ASYNC110 - the erasure ends it
            await asyncio.sleep(0.01)
    gone.set()
    await erasing
    with pytest.raises(SoundstageError):
        await waiting
    assert await store(blobs) == set()
