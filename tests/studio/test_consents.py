"""No real face and no cloned voice without a recorded consent."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import yaml
from avatar.spec import LipsyncSpec, RenderSpec

from soundstage.errors import Forbidden, Invalid, NotFound
from studio.assets.schemas import AssetLabels
from studio.consents.schemas import ConsentDraft
from studio.renders.repository import Segments
from studio.renders.schemas import RenderRequest
from studio.renders.states import RenderState

pytestmark = pytest.mark.each_database

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
DRAFT = ConsentDraft(person="Grace H.", purpose="course videos", granted_at=date(2026, 1, 5))


async def upload_asset(rooms: Any, content: bytes, name: str) -> Any:
    async def chunks() -> Any:
        yield content

    return await rooms.assets.upload(chunks(), AssetLabels(name=name))


async def picture(rooms: Any) -> Any:
    return await upload_asset(rooms, JPEG, "photo.jpg")


def photo_spec(sha256: str, consent: dict[str, Any] | None) -> RenderSpec:
    face: dict[str, Any] = {"kind": "photo", "image": {"sha256": sha256}}
    if consent is not None:
        face["consent"] = consent
    return RenderSpec.model_validate({"scenes": [{"id": "one", "script": "hi", "face": face}]})


async def test_a_real_face_without_consent_is_refused(studio_rooms: Any) -> None:
    photo = await picture(studio_rooms)
    invented = {"id": "cns_x", "person": "Me", "granted_at": "2026-01-01", "purpose": "all"}
    for consent in (None, invented):
        with pytest.raises(Forbidden) as caught:
            await studio_rooms.renders.create(RenderRequest(spec=photo_spec(photo.sha256, consent)))
        assert caught.value.code == "consent.required" and caught.value.hint
    lipsync = {"face": {"video": {"sha256": photo.sha256}}, "audio": {"sha256": photo.sha256}}
    with pytest.raises(Forbidden):
        await studio_rooms.renders.create(RenderRequest(lipsync=LipsyncSpec.model_validate(lipsync)))


async def test_the_record_goes_into_the_spec_and_not_what_the_caller_wrote(studio_rooms: Any) -> None:
    photo = await picture(studio_rooms)
    consent = await studio_rooms.consents.record(DRAFT)
    claimed = {"id": consent.id, "person": "Somebody Else", "granted_at": "1999", "purpose": "anything"}
    view = await studio_rooms.renders.create(RenderRequest(spec=photo_spec(photo.sha256, claimed)))
    spec = (await studio_rooms.renders.detail(view.id)).spec
    stamped = spec.scenes[0].face.consent
    assert (stamped.person, stamped.purpose) == ("Grace H.", "course videos")
    assert stamped.granted_at.startswith("2026-01-05")


async def test_a_revoked_consent_allows_nothing_new(studio_rooms: Any) -> None:
    photo = await picture(studio_rooms)
    consent = await studio_rooms.consents.record(DRAFT)
    assert (await studio_rooms.consents.revoke(consent.id)).revoked_at is not None
    value = {"id": consent.id, "person": "Grace H.", "granted_at": "2026", "purpose": "x"}
    with pytest.raises(Forbidden) as caught:
        await studio_rooms.renders.create(RenderRequest(spec=photo_spec(photo.sha256, value)))
    assert caught.value.code == "consent.revoked"


async def test_a_lip_sync_of_a_video_with_consent_is_one_task_with_a_named_file(
    rooms: Any, settings: Any
) -> None:
    consent = await rooms.consents.record(DRAFT)
    clip = await upload_asset(rooms, b"\x00\x00\x00\x18ftypisom clip", "clip.mp4")
    sound = await upload_asset(rooms, b"RIFF\x24\x00\x00\x00WAVEfmt sound", "sound.wav")
    value = {"id": consent.id, "person": "-", "granted_at": "-", "purpose": "-"}
    spec = {"face": {"video": {"sha256": clip.sha256}, "consent": value}, "audio": {"sha256": sound.sha256}}
    request = RenderRequest(lipsync=LipsyncSpec.model_validate(spec), title="Dubbed")
    requests = await rooms.renders.create(request)
    view = await rooms.renders.wait(requests.id)
    assert (view.kind, view.state, view.title) == ("lipsync", RenderState.DONE, "Dubbed")
    assert view.out_files == [f"dubbed-{view.id[-6:]}.mp4"]
    detail = await rooms.renders.detail(view.id)
    assert detail.spec.face.consent.person == "Grace H." and detail.segments == []
    assert (settings.out_dir / view.out_files[0]).exists()


async def test_a_consent_taken_back_while_the_render_waits_stops_it(studio_rooms: Any) -> None:
    photo = await picture(studio_rooms)
    consent = await studio_rooms.consents.record(DRAFT)
    value = {"id": consent.id, "person": "Grace H.", "granted_at": "2026", "purpose": "x"}
    view = await studio_rooms.renders.create(RenderRequest(spec=photo_spec(photo.sha256, value)))
    await studio_rooms.consents.revoke(consent.id)
    await studio_rooms.dispatcher.start()
    ended = await studio_rooms.renders.wait(view.id)
    assert (ended.state, ended.error.code) == (RenderState.FAILED, "consent.revoked")


async def test_the_worker_gets_the_key_that_the_operators_voice_names_and_no_other(
    rooms: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, blobs: Any, db: Any
) -> None:
    monkeypatch.setenv("TTS_KEY", "the key")
    monkeypatch.setenv("OTHER_KEY", "not this one")
    voice = {"kind": "openai", "base_url": "http://tts.lan:8000", "api_key_env": "TTS_KEY"}
    persona = {"id": "voice", "name": "Voice", "face": {"kind": "rig"}, "voice": voice}
    (settings.personas_dir / "voice.yaml").write_text(yaml.safe_dump(persona))
    seen = {}
    for who in ("voice", "nova"):
        view = await rooms.renders.create(RenderRequest(script="hi", persona=who))
        assert (await rooms.renders.wait(view.id)).state is RenderState.DONE
        key = (await rooms.renders.detail(view.id)).segments[0].key
        async with db.session() as session:
            segment = await Segments(session).find(key)
        assert segment is not None and segment.result is not None
        words = next(file for file in segment.result["files"] if file["role"] == "words")
        seen[who] = json.loads(await blobs.read(words["sha256"]))
    assert seen["voice"]["TTS_KEY"] == "the key" and "OTHER_KEY" not in seen["voice"]
    assert "TTS_KEY" not in seen["nova"]


async def test_a_cloned_voice_needs_consent_too(studio_rooms: Any, settings: Any) -> None:
    voice = {"kind": "qwen", "base_url": "http://tts.lan:8000", "voice_id": "grace"}
    persona = {"id": "voice", "name": "Voice", "face": {"kind": "rig"}, "voice": voice}
    (settings.personas_dir / "voice.yaml").write_text(yaml.safe_dump(persona))
    with pytest.raises(Forbidden) as caught:
        await studio_rooms.renders.create(RenderRequest(script="hi", persona="voice"))
    assert caught.value.code == "consent.required" and "voice" in caught.value.message
    (settings.personas_dir / "voice.yaml").write_text(
        yaml.safe_dump({**persona, "voice": {**voice, "cloned": False}})
    )
    assert await studio_rooms.renders.create(RenderRequest(script="hi", persona="voice"))


async def test_a_drawn_character_needs_none(studio_rooms: Any) -> None:
    assert await studio_rooms.renders.create(RenderRequest(script="hi", persona="nova"))


async def test_consent_cannot_come_from_the_future_and_dates_mean_utc(studio_rooms: Any) -> None:
    late = DRAFT.model_copy(update={"granted_at": datetime.now(UTC) + timedelta(days=2)})
    with pytest.raises(Invalid, match="future"):
        await studio_rooms.consents.record(late)
    created = await studio_rooms.consents.record(DRAFT)
    assert created.granted_at == datetime(2026, 1, 5, tzinfo=UTC)
    assert (await studio_rooms.consents.list())[0].id == created.id


async def test_evidence_is_held_with_the_consent(studio_rooms: Any) -> None:
    sheet = await picture(studio_rooms)
    created = await studio_rooms.consents.record(DRAFT.model_copy(update={"evidence": sheet.id}))
    assert created.evidence_sha256 == sheet.sha256
    with pytest.raises(NotFound):
        await studio_rooms.consents.record(DRAFT.model_copy(update={"evidence": "ast_none"}))
    with pytest.raises(NotFound):
        await studio_rooms.consents.get("cns_none")
