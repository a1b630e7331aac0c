"""A voice is cloned with its speaker's consent, through any door, once; what was refused leaves nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from voice_server import VoiceServer
from voice_stage import (
    JPEG,
    SPOKEN,
    WHO,
    Send,
    list_files,
    nothing_left,
    persona_file,
    refusal,
    spec_with,
    wav,
)

from soundstage.database import Database, utcnow
from soundstage.errors import SoundstageError
from soundstage.paging import PageRequest
from soundstage.settings import Settings
from studio.assets.repository import AssetFilter
from studio.consents.schemas import ConsentDraft
from studio.references import repository as references
from studio.references.repository import DROP_LASTS, UPLOAD_LASTS, References
from studio.voices.addresses import address_of, root_of
from studio.voices.samples import SampleCheck, SampleFile
from studio.voices.speech_server import _name_in

pytestmark = pytest.mark.each_database


async def test_a_sample_goes_out_with_its_consent_and_comes_back_as_a_voice(
    send: Send, client: httpx.AsyncClient, server: VoiceServer, studio_rooms: Any
) -> None:
    answer = await send()
    assert answer.status_code == 201, answer.text
    view = answer.json()
    sent = server.voices[view["voice_id"]]
    assert (
        sent["audio_sample"] == wav() and sent["ref_text"] == SPOKEN.encode() and sent["kind"] == b"audio/wav"
    )
    (consent,) = (await client.get("/api/consents")).json()
    assert sent["consent"].decode() == consent["id"] == view["consent"]["id"]
    assert (consent["person"], view["state"], view["duration_ms"]) == ("Ada", "ready", 5000)
    assert view["voice_id"].startswith("ada-") and view["voice"]["model"] == "qwen3-tts"
    for name in (view["id"], "Ada"):
        assert (await client.get(f"/api/voices/{name}")).json() == view
    assert (await client.get("/api/voices")).json() == [view]
    render = await studio_rooms.renders.create(spec_with(view["voice"]))
    detail = await studio_rooms.renders.detail(render.id)
    assert detail.spec.scenes[0].voice.consent.person == "Ada"


async def test_an_uploaded_sound_and_a_recorded_consent_may_be_named(
    client: httpx.AsyncClient, server: VoiceServer
) -> None:
    asset = (await client.post("/api/assets", files={"file": ("a.wav", wav())})).json()
    consent = (await client.post("/api/consents", json=WHO)).json()
    body = {"name": "ada", "said": SPOKEN, "asset": asset["id"], "consent_id": consent["id"]}
    created = await client.post("/api/voices", json={**body, "service_consent": "cons_7"})
    assert created.status_code == 201, created.text
    assert server.voices[created.json()["voice_id"]]["consent"] == b"cons_7"
    removed = await client.delete("/api/voices/ada")
    assert removed.json()["state"] == "removed" and server.voices == {}
    assert (await client.get(f"/api/consents/{consent['id']}")).json()["revoked_at"] is None
    assert (await client.get(f"/api/assets/{asset['id']}/file")).content == wav(), "the asset stays"
    missing = await client.post("/api/voices", json={**body, "asset": "ast_1"})
    assert refusal(missing) == (404, "asset.not_found")


async def test_a_service_that_names_voices_itself_is_understood(send: Send, server: VoiceServer) -> None:
    server.names_id = True
    view = (await send()).json()
    assert view["voice_id"].startswith("voice_ada-") and view["voice"]["voice"] == view["voice_id"]


@pytest.mark.parametrize("value", ["none", "unknown", "revoked"])
async def test_without_a_standing_consent_nothing_leaves_the_machine(
    send: Send, server: VoiceServer, studio_rooms: Any, settings: Settings, value: str
) -> None:
    consent_id = "cns_unknown" if value == "unknown" else None
    if value == "revoked":
        consent_id = (await studio_rooms.consents.record(ConsentDraft.model_validate(WHO))).id
        await studio_rooms.consents.revoke(consent_id)
    answer = await send(person=None, purpose=None, granted_at=None, consent_id=consent_id)
    assert refusal(answer) == (403, "consent.revoked" if value == "revoked" else "consent.required")
    assert server.keys == []
    await nothing_left(studio_rooms, server)
    assert list_files(settings) == []


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (JPEG, 422, "voice.bad_sample"),
        (wav("sound 400"), 422, "voice.bad_sample"),
        (wav("sound 30001"), 422, "voice.bad_sample"),
        (wav("good"), 422, "voice.bad_sample"),
        (wav("blame media.unreadable"), 422, "media.unreadable"),
        (b"just words, no sound at all", 422, "upload.unknown_type"),
        (b"", 422, "upload.empty"),
        (wav() + bytes(11 << 20), 413, "upload.too_large"),
        (wav() + bytes((10 << 20) + 1), 413, "blob.too_large"),
    ],
    ids=["picture", "short", "long", "film", "broken", "text", "empty", "large", "just too large"],
)
async def test_what_is_no_sample_is_refused_and_not_kept(
    send: Send,
    server: VoiceServer,
    studio_rooms: Any,
    settings: Settings,
    content: bytes,
    status: int,
    code: str,
) -> None:
    answer = await send(content)
    assert refusal(answer) == (status, code)
    assert server.keys == []
    await nothing_left(studio_rooms, server)
    assert list_files(settings) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": "../ada"}, "voice.bad_labels"),
        ({"name": None}, "voice.bad_labels"),
        ({"said": " "}, "voice.bad_labels"),
        ({"purpose": None}, "voice.bad_labels"),
        ({"consent_id": "cns_1"}, "voice.bad_labels"),
        ({"colour": "red"}, "voice.bad_labels"),
        ({"granted_at": "2999-01-01"}, "consent.in_future"),
        ({"service": "ftp://x"}, "speech.bad_address"),
    ],
)
async def test_wrong_fields_are_named(
    send: Send, server: VoiceServer, studio_rooms: Any, fields: dict[str, str | None], code: str
) -> None:
    assert refusal(await send(**fields)) == (422, code)
    assert server.keys == []
    await nothing_left(studio_rooms, server)


async def test_a_sample_comes_in_a_form_or_as_an_asset(client: httpx.AsyncClient) -> None:
    bare = await client.post("/api/voices?name=ada", content=wav(), headers={"content-type": "audio/wav"})
    assert refusal(bare) == (415, "voice.bad_form")
    broken = await client.post("/api/voices", content=b"{", headers={"content-type": "application/json"})
    assert refusal(broken) == (422, "voice.bad_labels")


async def test_a_sample_goes_only_where_the_operator_lets_it(
    send: Send, client: httpx.AsyncClient, server: VoiceServer, studio_rooms: Any, settings: Settings
) -> None:
    """To send it anywhere else would be to give a person's voice away."""
    assert refusal(await send(service="http://169.254.169.254")) == (403, "voice.service_not_allowed")
    assert server.keys == []
    voice = f"{{kind: qwen, base_url: '{server.url}/other/tts', voice_id: x}}"
    persona_file(settings, voice)
    assert refusal(await send()) == (409, "voice.which_service")
    listed = (await client.get("/api/speech-services")).raise_for_status().json()
    assert [one["address"] for one in listed] == [server.url, f"{server.url}/other/tts"]
    assert (await send(service=f"{server.url}/v1/audio/speech")).status_code == 201


@pytest.mark.parametrize(
    "written",
    [
        "http://localhost:8091",
        "http://[::1]:8091/v1",
        "http://127.0.0.1:8091/v1/audio/speech/",
        "HTTP://ada:secret@LocalHost:8091/?x#y",
    ],
)
def test_a_service_is_the_same_however_its_address_is_written(written: str) -> None:
    assert root_of(written) == "http://127.0.0.1:8091"
    assert root_of("http://127.0.0.2:8091") == "http://127.0.0.2:8091"


def test_a_service_is_asked_at_the_address_that_was_written() -> None:
    """Its name is another matter: nothing listens at 127.0.0.1 because it does at [::1]."""
    assert str(address_of("http://ada:secret@[::1]:8091/tts/v1/")) == "http://ada:secret@[::1]:8091/tts"


async def test_without_a_speech_service_that_is_said(
    send: Send, studio_rooms: Any, settings: Settings
) -> None:
    object.__setattr__(studio_rooms.voices.admission, "services", frozenset())
    assert refusal(await send()) == (409, "voice.no_service")


@pytest.mark.parametrize(
    ("status", "answered", "code"),
    [
        (401, 502, "speech.upstream_denied"),
        (400, 422, "speech.upstream_rejected"),
        (404, 502, "voice.cannot_clone"),
    ],
)
async def test_a_service_that_refuses_leaves_all_as_it_was(
    send: Send, server: VoiceServer, studio_rooms: Any, status: int, answered: int, code: str
) -> None:
    server.status = status
    if status == 404:
        server.status, server.clones = 200, False
    key = {"Idempotency-Key": "once"}
    assert refusal(await send(headers=key)) == (answered, code)
    await nothing_left(studio_rooms, server)
    server.status, server.clones = 200, True
    assert (await send(headers=key)).status_code == 201, "a request that failed leaves no key behind"


@pytest.mark.parametrize("called", ["völva", "a\nb", "", "x" * 201, 7])
def test_what_cannot_be_sent_back_is_no_name(called: object) -> None:
    assert _name_in({"id": called}, "ada") is None
    assert _name_in({"success": True, "voice": {"name": called}}, "ada") == "ada"
    assert _name_in({"id": "voice_1"}, "ada") == "voice_1"


@pytest.mark.parametrize("fault", ["cut", "vague"])
async def test_a_voice_that_may_have_been_made_is_taken_away_again(
    send: Send, server: VoiceServer, studio_rooms: Any, fault: str
) -> None:
    server.fault = fault
    code = "speech.upstream_failed" if fault == "cut" else "voice.unclear_answer"
    assert refusal(await send())[1] == code
    await nothing_left(studio_rooms, server)


async def test_while_nobody_knows_whether_it_was_made_its_record_stays(
    send: Send, server: VoiceServer, client: httpx.AsyncClient, studio_rooms: Any
) -> None:
    server.fault, server.deletes = "cut", False
    key = {"Idempotency-Key": "one"}
    assert refusal(await send(headers=key)) == (502, "voice.unclear")
    (view,) = (await client.get("/api/voices")).json()
    assert view["state"] == "sending" and view["voice_id"] in server.voices
    with pytest.raises(SoundstageError) as unsure:
        await studio_rooms.renders.create(spec_with(view["voice"]))
    assert unsure.value.code == "voice.not_ready"
    assert refusal(await send()) == refusal(await send(headers=key)) == (409, "voice.exists")
    server.deletes = True
    assert (await client.delete("/api/voices/Ada")).status_code == 200
    await nothing_left(studio_rooms, server, view["sample_sha256"])


async def test_a_service_that_is_not_there_is_told(
    send: Send, server: VoiceServer, studio_rooms: Any
) -> None:
    gone = frozenset({("openai", "http://127.0.0.1:9", None)})
    object.__setattr__(studio_rooms.voices.admission, "services", gone)
    assert refusal(await send()) == (503, "speech.upstream_unreachable")
    await nothing_left(studio_rooms, server)


async def test_a_request_that_is_sent_again_makes_one_voice(
    send: Send, server: VoiceServer, client: httpx.AsyncClient
) -> None:
    key = {"Idempotency-Key": "one"}
    first, second = await send(headers=key), await send(headers=key)
    assert first.status_code == second.status_code == 201 and first.json() == second.json()
    assert len(server.keys) == 1 and len((await client.get("/api/consents")).json()) == 1
    other = await send(wav("sound 6000"), headers=key)
    assert refusal(other) == (422, "idempotency.key_reused")


async def test_a_request_that_is_sent_twice_at_once_makes_one_voice(
    send: Send, server: VoiceServer, client: httpx.AsyncClient
) -> None:
    key = {"Idempotency-Key": "one"}
    first, second = await asyncio.gather(send(headers=key), send(headers=key))
    assert first.status_code == second.status_code == 201, (first.text, second.text)
    assert first.json()["id"] == second.json()["id"]
    assert len(server.keys) == 1 and len((await client.get("/api/consents")).json()) == 1
    assert refusal(await send(headers={"Idempotency-Key": "two"})) == (409, "voice.exists")
    assert len(server.keys) == 1


async def test_the_key_of_a_service_is_used_and_never_shown(
    send: Send, server: VoiceServer, settings: Settings, studio_rooms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = f"{{kind: openai, base_url: '{server.url}/keyed', api_key_env: SPEECH_KEY}}"
    persona_file(settings, voice)
    expected = f"{server.url}/keyed/v1"
    assert refusal(await send(service=expected)) == (503, "speech.key_missing")
    monkeypatch.setenv("SPEECH_KEY", "sk-very-secret")
    answer = await send(service=expected)
    assert refusal(answer)[1] == "voice.cannot_clone" and server.keys == ["Bearer sk-very-secret"]
    assert "very-secret" not in answer.text
    server.status = 400
    settings_key = frozenset({("openai", server.url, "SPEECH_KEY")})
    object.__setattr__(studio_rooms.voices.admission, "services", settings_key)
    reported = await send(service=server.url)
    assert refusal(reported) == (422, "speech.upstream_rejected") and "no room for Bearer" in reported.text
    assert "very-secret" not in reported.text


@pytest.mark.parametrize("key", ["sk-sécret", "sk-sec\nret", "sk-sec\x7fret"])
async def test_a_key_that_no_header_can_carry_is_named_and_not_shown(
    send: Send,
    server: VoiceServer,
    settings: Settings,
    studio_rooms: Any,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
) -> None:
    persona_file(settings, f"{{kind: openai, base_url: '{server.url}/keyed', api_key_env: SPEECH_KEY}}")
    monkeypatch.setenv("SPEECH_KEY", key)
    answer = await send(service=f"{server.url}/keyed")
    assert refusal(answer) == (503, "speech.bad_key")
    assert "SPEECH_KEY" in answer.text and "sk-" not in answer.text
    assert server.keys == [] and await studio_rooms.consents.list() == []
    await nothing_left(studio_rooms, server)


class Patient(SampleCheck):
    """Looks into a sample only when somebody says so."""

    def __init__(self, real: SampleCheck) -> None:
        super().__init__(real.blobs, real.scheduler)
        object.__setattr__(self, "began", asyncio.Event())
        object.__setattr__(self, "go_on", asyncio.Event())

    async def look_into(self, sha256: str) -> SampleFile:
        self.began.set()  # type: ignore[attr-defined]
        await self.go_on.wait()  # type: ignore[attr-defined]
        return await super().look_into(sha256)


@pytest.fixture
def patient(studio_rooms: Any) -> Patient:
    created = Patient(studio_rooms.voices.samples)
    object.__setattr__(studio_rooms.voices, "samples", created)
    return created


@pytest.mark.parametrize("refusal", [{"granted_at": "soon"}, {"consent_id": "con_none"} | dict.fromkeys(WHO)])
async def test_a_refused_sending_takes_no_sample_along_that_another_has_sent(
    send: Send, server: VoiceServer, studio_rooms: Any, patient: Any, refusal: dict[str, Any]
) -> None:
    """The same recording twice, at the same time; nothing holds it yet while it is looked into."""
    first = asyncio.create_task(send())
    await asyncio.wait_for(patient.began.wait(), 60)
    assert (await send(name="Eve", **refusal)).status_code in (403, 422)
    patient.go_on.set()
    answer = await first
    assert answer.status_code == 201, answer.text
    assert await studio_rooms.voices.blobs.exists(answer.json()["sample_sha256"])
    assert [view.name for view in await studio_rooms.voices.list()] == ["Ada"]


async def test_what_is_left_of_a_sending_that_was_killed_holds_nothing_for_long(
    send: Send, studio_rooms: Any, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = await studio_rooms.voices.blobs.put_bytes(wav())
    long_ago = utcnow() - UPLOAD_LASTS - timedelta(minutes=1)
    with monkeypatch.context() as clock:
        clock.setattr(references, "utcnow", lambda: long_ago)
        async with db.transaction() as session:
            stale = await References(session).promise(blob.sha256)
            assert await References(session).holders({blob.sha256}) == {stale}
    async with db.session() as session:
        assert await References(session).holders({blob.sha256}) == set()
        assert await References(session).all_hashes() == set()
    assert (await send(granted_at="soon")).status_code == 422
    assert not await studio_rooms.voices.blobs.exists(blob.sha256)
    async with db.transaction() as session:
        await References(session).promise("sha256:" + "1" * 64)
        assert await References(session).holds_of_owner(stale) == [], "and the next one tidies up"


async def test_an_asset_whose_file_went_before_it_was_written_down_is_none(
    client: httpx.AsyncClient, studio_rooms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = studio_rooms.assets.store

    async def drop_at_once(*arguments: Any, **more: Any) -> Any:
        stored, found = await store(*arguments, **more)
        await studio_rooms.voices.drop_unheld(stored.sha256)
        return stored, found

    monkeypatch.setattr(studio_rooms.assets, "store", drop_at_once)
    answer = await client.post("/api/assets", files={"file": ("a.wav", wav())})
    assert refusal(answer) == (404, "blob.not_found")
    assert (await studio_rooms.assets.find_page(AssetFilter(), PageRequest(1))).items == []


@pytest.fixture
def slow_bucket(studio_rooms: Any, monkeypatch: pytest.MonkeyPatch) -> Patient:
    """The store as a bucket, whose times stay as they are, and which takes its time to delete."""
    blobs = studio_rooms.voices.blobs
    stops = Patient(studio_rooms.voices.samples)
    delete = blobs.delete

    async def deleting(sha256: str, **_: Any) -> bool:
        stops.began.set()
        await stops.go_on.wait()
        return bool(await delete(sha256))

    monkeypatch.setattr(blobs, "touch", blobs.exists)
    monkeypatch.setattr(blobs, "delete", deleting)
    return stops


@pytest.mark.parametrize("endpoint", ["/api/voices", "/api/assets"])
async def test_a_file_that_is_just_being_dropped_is_not_taken_for_kept(
    send: Send,
    client: httpx.AsyncClient,
    studio_rooms: Any,
    slow_bucket: Patient,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refused sending has seen that nobody holds its sample; then somebody brings the same bytes, and finds
    them there. In a bucket the delete that follows asks for nothing: who begins to hold them waits for it.
    """
    blob = await studio_rooms.voices.blobs.put_bytes(wav())
    dropping = asyncio.create_task(studio_rooms.voices.drop_unheld(blob.sha256))
    await asyncio.wait_for(slow_bucket.began.wait(), 60)
    sending = send() if endpoint == "/api/voices" else client.post(endpoint, files={"file": ("a.wav", wav())})
    looked, look = asyncio.Event(), References.is_being_dropped

    async def look_and_say(self: References, sha256: str) -> bool:
        found = await look(self, sha256)
        looked.set()
        return found

    monkeypatch.setattr(References, "is_being_dropped", look_and_say)
    second = asyncio.create_task(sending)
    # Not a time: where the request looks only after the drop has ended, 201 would be the right answer.
    await asyncio.wait_for(looked.wait(), 60)
    assert not second.done(), "it does not say that it has what is about to go"
    slow_bucket.go_on.set()
    await dropping
    assert refusal(await second) == (404, "blob.not_found")
    assert not await studio_rooms.voices.blobs.exists(blob.sha256)
    assert (
        (await studio_rooms.assets.find_page(AssetFilter(), PageRequest(1))).items
        == []
        == await studio_rooms.voices.list()
    )


async def test_an_intention_to_drop_is_no_hold_and_is_forgotten_with_the_process_that_had_it(
    send: Send, studio_rooms: Any, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = await studio_rooms.voices.blobs.put_bytes(wav())
    long_ago = utcnow() - DROP_LASTS - timedelta(seconds=1)
    with monkeypatch.context() as clock:
        clock.setattr(references, "utcnow", lambda: long_ago)
        async with db.transaction() as session:
            stale = await References(session).intend_to_drop(blob.sha256)
            assert await References(session).is_being_dropped(blob.sha256)
            assert await References(session).all_hashes() == set()
    assert (await send()).status_code == 201
    await studio_rooms.voices.drop_unheld("sha256:" + "1" * 64)
    async with db.session() as session:
        assert await References(session).holds_of_owner(stale) == [], "and the next one tidies up"
    assert await studio_rooms.voices.blobs.exists(blob.sha256), "held by now"
