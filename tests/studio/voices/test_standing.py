"""A voice speaks no longer than its speaker's consent stands, for its own tenant, and goes whole."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from avatar.spec import OpenAIVoice
from voice_server import VoiceServer
from voice_stage import (
    SPOKEN,
    WHO,
    Send,
    nothing_left,
    refusal,
    spec_with,
    wav,
)

from policy import Policy, Principal
from policy.keys.schemas import KeyRequest
from soundstage.database.tenants import tenant_scope
from soundstage.errors import Forbidden, NotFound
from soundstage.settings import Settings
from studio.personas.schemas import Persona
from studio.renders.states import RenderState
from studio.voices.schemas import VoiceLabels
from studio.voices.speech_server import SpeechServer

pytestmark = pytest.mark.each_database


async def test_what_a_caller_says_of_a_cloned_voice_does_not_count(
    send: Send, studio_rooms: Any, server: VoiceServer
) -> None:
    """By its name at the service anybody could ask for it, as for any voice."""
    view = (await send()).json()
    for name in (view["voice_id"], view["voice_id"].upper()):
        plain = {"kind": "openai", "base_url": server.url, "voice": name}
        render = await studio_rooms.renders.create(spec_with(plain))
        voice = (await studio_rooms.renders.detail(render.id)).spec.scenes[0].voice
        assert voice.cloned and voice.consent.id == view["consent"]["id"]
    await studio_rooms.consents.revoke(view["consent"]["id"])
    with pytest.raises(Forbidden) as revoked:
        await studio_rooms.renders.create(spec_with(plain))
    assert revoked.value.code == "consent.revoked"


async def test_a_removed_voice_takes_its_sample_and_its_consent_with_it(
    send: Send, client: httpx.AsyncClient, server: VoiceServer, studio_rooms: Any
) -> None:
    view = (await send()).json()
    removed = (await client.delete(f"/api/voices/{view['id']}")).json()
    assert (removed["state"], removed["sample_sha256"], removed["said"]) == ("removed", None, "")
    await nothing_left(studio_rooms, server, view["sample_sha256"])
    with pytest.raises(Forbidden) as refused_use:
        await studio_rooms.renders.create(spec_with(view["voice"]))
    assert refused_use.value.code == "voice.removed" and "Ada was removed on 20" in refused_use.value.message
    assert refusal(await client.get("/api/voices/Ada")) == (404, "voice.not_found")
    assert refusal(await client.delete("/api/voices/Ada")) == (404, "voice.not_found")
    assert (await send()).status_code == 201, "its name is free again"


async def test_a_video_that_waits_is_not_made_with_a_voice_that_is_gone(
    client: httpx.AsyncClient, server: VoiceServer, studio_rooms: Any
) -> None:
    asset = (await client.post("/api/assets", files={"file": ("a.wav", wav())})).json()
    consent = (await client.post("/api/consents", json=WHO)).json()
    body = {"name": "ada", "said": SPOKEN, "asset": asset["id"], "consent_id": consent["id"]}
    view = (await client.post("/api/voices", json=body)).json()
    render = await studio_rooms.renders.create(spec_with(view["voice"]))
    assert (await client.delete("/api/voices/ada")).status_code == 200
    await studio_rooms.dispatcher.start()
    ended = await studio_rooms.renders.wait(render.id)
    assert ended.state is RenderState.FAILED and ended.error.code == "voice.removed"


async def test_while_the_service_keeps_a_voice_its_record_stays(
    send: Send, client: httpx.AsyncClient, server: VoiceServer, studio_rooms: Any
) -> None:
    view = (await send()).json()
    server.deletes = False
    assert refusal(await client.delete("/api/voices/Ada")) == (503, "voice.not_deleted")
    server.deletes, server.status = True, 503
    assert refusal(await client.delete("/api/voices/Ada")) == (503, "speech.upstream_failed")
    assert (await client.get("/api/voices/Ada")).json() == view
    forgotten = await client.delete("/api/voices/Ada?forget=true")
    assert forgotten.json()["state"] == "removed" and view["voice_id"] in server.voices


async def test_tenants_have_voices_of_their_own(server: VoiceServer, studio_rooms: Any, blobs: Any) -> None:
    labels = VoiceLabels.model_validate({"name": "ada", "said": SPOKEN, "consent": WHO})
    created = {}
    for tenant in ("acme", "rival"):
        with tenant_scope(tenant):
            blob = await blobs.put_bytes(wav(), "audio/wav")
            created[tenant] = await studio_rooms.voices.create(labels, blob.sha256)
    assert len(server.voices) == 2
    with tenant_scope("rival"):
        assert [one.id for one in await studio_rooms.voices.list()] == [created["rival"].id]
        with pytest.raises(NotFound):
            await studio_rooms.voices.remove(created["acme"].id)
        stolen = OpenAIVoice(base_url=server.url, voice=created["acme"].voice_id)
        with pytest.raises(NotFound) as unseen:
            await studio_rooms.renders.create(spec_with(stolen.model_dump()))
        assert unseen.value.code == "voice.not_found"
        missing = OpenAIVoice(base_url=server.url, voice="nobody")
        studio_rooms.library.save(Persona(id="eve", name="Eve", voice=missing))
        reported = str(await studio_rooms.persona_health.of("eve"))
        assert created["acme"].voice_id not in reported and created["rival"].voice_id in reported
        await studio_rooms.voices.remove("ada")
    assert list(server.voices) == [created["acme"].voice_id]
    with tenant_scope("acme"):
        assert await blobs.exists(blob.sha256), "the other tenant has the same recording"
        await studio_rooms.voices.remove("ada", forget=True)
    assert list(server.voices) == [created["acme"].voice_id], "the service was not asked"
    with tenant_scope("rival"):
        assert created["acme"].voice_id not in str(await studio_rooms.persona_health.of("eve"))
        with pytest.raises(NotFound):
            await studio_rooms.renders.create(spec_with(stolen.model_dump()))


@pytest.mark.parametrize("ended_by", ["removed", "forgotten", "removed late", "erased", "revoked"])
async def test_a_voice_that_ends_while_its_sample_is_on_the_way_is_not_left_at_the_service(
    send: Send,
    server: VoiceServer,
    client: httpx.AsyncClient,
    studio_rooms: Any,
    monkeypatch: pytest.MonkeyPatch,
    ended_by: str,
) -> None:
    server.fault = "slow"
    sending = asyncio.create_task(send())
    async with asyncio.timeout(60):
        while not server.keys:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    (view,) = (await client.get("/api/voices")).json()
    path = f"/api/consents/{view['consent']['id']}"
    deleted = SpeechServer.delete

    async def delete_late(self: SpeechServer, voice_id: str) -> None:
        """The sample arrives between the service's answer and what is written of it here."""
        await deleted(self, voice_id)
        server.go_on.set()
        await asyncio.wait([sending])

    match ended_by:
        case "removed":
            ended = await client.delete("/api/voices/Ada")
        case "forgotten":
            ended = await client.delete("/api/voices/Ada?forget=true")
        case "removed late":
            monkeypatch.setattr(SpeechServer, "delete", delete_late)
            ended = await client.delete("/api/voices/Ada")
        case "erased":
            ended = await client.delete(path)
        case _:
            ended = await client.post(f"{path}/revoke")
    assert ended.status_code == 200, ended.text
    server.go_on.set()
    answer = await sending
    if ended_by == "removed late":
        assert answer.status_code == 201, answer.text
    else:
        assert refusal(answer) == (409, "voice.removed_meanwhile")
    await nothing_left(studio_rooms, server, view["sample_sha256"])
    assert (await send()).status_code == 201, "its name is free again"


async def test_a_voice_that_a_service_keeps_after_all_is_told_by_its_name_there(
    send: Send, server: VoiceServer, client: httpx.AsyncClient
) -> None:
    server.fault = "slow"
    key = {"Idempotency-Key": "one"}
    sending = asyncio.create_task(send(headers=key))
    async with asyncio.timeout(60):
        while not server.keys:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (await client.delete("/api/voices/Ada")).status_code == 200
    server.deletes = False
    server.go_on.set()
    answer = await sending
    assert refusal(answer) == (502, "voice.left_behind")
    (called,) = server.voices
    assert called in answer.json()["detail"]
    assert (await send(headers=key)).status_code == 201


async def test_a_person_who_is_erased_is_erased_at_the_service_too(
    send: Send, server: VoiceServer, client: httpx.AsyncClient, studio_rooms: Any
) -> None:
    view = (await send()).json()
    path = f"/api/consents/{view['consent']['id']}"
    plan = (await client.delete(f"{path}?dry_run=true")).json()
    assert plan["voices"] == [view["id"]] and plan["blobs"] == [view["sample_sha256"]]
    server.status = 503
    assert (await client.delete(path)).status_code == 503
    assert (await client.get("/api/voices/Ada")).status_code == 200, "it can be tried again"
    server.status = 200
    assert (await client.delete(path)).json()["applied"]
    assert (await client.get("/api/consents")).json() == []
    await nothing_left(studio_rooms, server, view["sample_sha256"])


async def test_a_persona_that_only_speaks_with_a_voice_goes_without_it(
    send: Send, server: VoiceServer, client: httpx.AsyncClient, studio_rooms: Any
) -> None:
    view = (await send()).json()
    for name in ("mascot", "presenter"):
        persona = {"id": name, "name": name.title(), "voice": view["voice"]}
        studio_rooms.library.save(Persona.model_validate(persona))
    spoken = await studio_rooms.renders.create(spec_with(view["voice"]))
    for name in ("mascot", "presenter"):
        done = (await client.delete(f"/api/personas/{name}")).json()
        assert done["applied"] and done["personas"] == [name], done
        assert done["voices"] == done["consents"] == done["renders"] == done["blobs"] == [], done
    assert (await client.get("/api/voices/Ada")).json() == view and view["voice_id"] in server.voices
    assert (await studio_rooms.renders.get(spoken.id)).id == spoken.id
    assert (await client.delete("/api/voices/Ada")).json()["state"] == "removed"


async def test_health_says_that_a_voice_was_removed(
    send: Send, client: httpx.AsyncClient, studio_rooms: Any
) -> None:
    view = (await send()).json()
    studio_rooms.library.save(Persona.model_validate({"id": "ada", "name": "Ada", "voice": view["voice"]}))
    before = (await client.get("/api/personas/ada/health")).json()
    assert before["healthy"], before
    await client.delete("/api/voices/Ada")
    checks = {one["name"]: one for one in (await client.get("/api/personas/ada/health")).json()["checks"]}
    assert not checks["voice"]["ok"] and "was removed" in checks["voice"]["message"]


async def test_what_a_key_may_not_it_is_not_let(
    send: Send, client: httpx.AsyncClient, server: VoiceServer, settings: Settings, db: Any, events: Any
) -> None:
    """Who agreed is for those who may read consents, and to record one needs its own permission."""
    view = (await send()).json()
    keys = Policy.open(settings, db, events).keys
    requests = {
        "viewer": KeyRequest(name="v"),
        "cloner": KeyRequest(name="c", role="editor", scopes=["voice:*"]),
    }
    headers = {}
    for name, request in requests.items():
        async with db.transaction() as session:
            created = await keys.create(session, request, Principal.local_admin())
        headers[name] = {"Authorization": f"Bearer {created.key}"}
    for path in ("/api/voices", "/api/voices/Ada"):
        answer = await client.get(path, headers=headers["viewer"])
        assert answer.status_code == 200 and "tutorials" not in answer.text, answer.text
        assert view["consent"]["id"] in answer.text and "not shown" in answer.text
    deleted = await client.delete("/api/voices/Ada", headers=headers["cloner"])
    assert (
        refusal(deleted)
        == refusal(await send(name="eve", headers=headers["viewer"]))
        == (
            403,
            "policy.forbidden",
        )
    )
    new = await send(name="eve", headers=headers["cloner"])
    assert refusal(new) == (403, "consent.not_yours_to_record") and len(server.keys) == 1
    known = {"person": None, "purpose": None, "granted_at": None, "consent_id": view["consent"]["id"]}
    created = await send(name="eve", headers=headers["cloner"], **known)
    assert created.status_code == 201 and "Ada" not in created.json()["consent"]["person"]
