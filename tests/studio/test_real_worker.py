"""The whole way with the real worker: a sentence in, a video that can be played out."""

from __future__ import annotations

import hashlib
import io
import json
import os
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from metric_values import metric_value, read_state
from voice_server import voice_server

from app.server.video_authority import authority_pem, video_signer
from soundstage.errors import SoundstageError
from soundstage.telemetry import Metrics
from studio.assets.schemas import AssetLabels
from studio.personas.schemas import CreatedPersona, PersonaDraft
from studio.renders.credentials import read_credentials
from studio.renders.states import RenderState
from studio.state_metrics import read_studio_state
from studio.voices.schemas import VoiceLabels
from studio.voices.services import SpeechService
from studio.wiring import Studio

WORKER = Path(__file__).parents[2] / "avatar" / ".venv" / "bin" / "avatar"


@pytest.fixture
async def real_rooms(settings: Any, drawing: Any) -> AsyncIterator[Studio]:
    assert os.access(WORKER, os.X_OK), "the worker is not installed: run `make setup`"
    created = drawing(str(WORKER), signer=video_signer(settings))
    async with created.dispatcher:
        yield created


def boxes(film: bytes) -> list[bytes]:
    """Names of the top-level boxes of an MP4 (ISO 14496-12 §4.2)."""
    found, at = [], 0
    while at < len(film):
        size = int.from_bytes(film[at : at + 4], "big")
        found.append(film[at + 4 : at + 8])
        at += size
    return found


async def test_the_real_worker_makes_a_film_with_captions_poster_and_provenance(
    real_rooms: Any, render_to_end: Any, settings: Any, db: Any
) -> None:
    view = await render_to_end(real_rooms, "Hi there.")
    assert view.error is None and view.state is RenderState.DONE
    stored = {name.partition(".")[2]: (settings.out_dir / name).read_bytes() for name in view.out_files}
    assert set(stored) == {"mp4", "vtt", "srt", "png", "provenance.json"}
    order = boxes(stored["mp4"])
    assert order[0] == b"ftyp" and order.index(b"moov") < order.index(b"mdat"), (
        "it starts before it is loaded"
    )
    assert stored["vtt"].startswith(b"WEBVTT") and b"Hi there" in stored["vtt"]
    assert stored["png"].startswith(b"\x89PNG") and json.loads(stored["provenance.json"])
    film = next(settings.out_dir.glob("*.mp4"))
    signed = read_credentials(film, authority_pem(settings))
    assert (signed.valid, signed.signer, signed.problems) == (True, "this installation", [])
    record = json.loads(stored["provenance.json"])
    assert record["video"]["sha256"].removeprefix("sha256:") == hashlib.sha256(stored["mp4"]).hexdigest()
    assert record["trace_id"] == signed.trace_id == view.trace_id and signed.title == "Hi there"
    assert 800 < view.duration_ms < 4000
    frames = view.progress.frames_total
    assert abs(frames * 40 - view.duration_ms) <= 40
    again = await render_to_end(real_rooms, "Hi there.", title="The same again")
    assert (await real_rooms.renders.detail(again.id)).segments[0].reused is True

    assert (metric_value("segments", result="done"), metric_value("segments", result="reused")) == (1, 1)
    assert metric_value("renders_finished", state="done") == metric_value("render_seconds", engine="rig") == 2
    assert metric_value("frames", engine="rig") == frames
    assert metric_value("realtime_ratio", engine="rig") == metric_value("task_seconds", kind="segment") == 1
    assert metric_value("tasks_finished", kind="assemble", result="done") == 2
    assert metric_value("queue_wait_seconds") == metric_value("tasks_finished")
    assert metric_value("tasks", state="running") == 0
    shown = Metrics()
    read_studio_state(shown, db)
    assert await read_state(shown, "renders", state="done") == 2
    assert (await read_state(shown, "blob_bytes") or 0) > len(stored["mp4"])


async def test_the_real_worker_says_how_long_an_uploaded_sound_is(real_rooms: Any) -> None:
    recording = io.BytesIO()
    with wave.open(recording, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(24_000)
        sound.writeframes(bytes(72_000))

    async def chunks() -> AsyncIterator[bytes]:
        yield recording.getvalue()

    asset = await real_rooms.assets.upload(chunks(), AssetLabels(name="a.wav"))
    await real_rooms.prober.probe(asset.id)
    view = await real_rooms.assets.get(asset.id)
    assert (view.duration_ms, view.metadata["sample_rate_hz"]) == (1500, 24_000)


async def test_the_real_worker_looks_into_the_sample_of_a_voice(real_rooms: Any, blobs: Any) -> None:
    consent = {"person": "Ada", "purpose": "tutorials", "granted_at": "2026-11-02"}
    labels = VoiceLabels.model_validate({"name": "ada", "said": "The tide.", "consent": consent})
    broken = b"RIFF" + b"\xff" * 4 + b"WAVEfmt " + bytes(range(256)) * 16
    with voice_server() as server:
        service = SpeechService("openai", server.url)
        for content, code in ((broken, "media.unreadable"), (sound(0.5), "voice.bad_sample")):
            blob = await blobs.put_bytes(content, "audio/wav")
            with pytest.raises(SoundstageError) as refused:
                await real_rooms.voices.create(labels, blob.sha256, service=service)
            assert refused.value.code == code and server.keys == []
        blob = await blobs.put_bytes(sound(2.0), "audio/wav")
        created = await real_rooms.voices.create(labels, blob.sha256, service=service)
        assert created.duration_ms == 2000 and server.voices[created.voice_id]["audio_sample"] == sound(2.0)


def sound(seconds: float) -> bytes:
    """A tone."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(24_000)
        target.writeframes(bytes([0, 16, 0, 240]) * int(12_000 * seconds))
    return buffer.getvalue()


def template() -> bytes:
    """Of a head that does nothing for ten frames."""
    points = [[[0.0] * 3] * 21] * 10
    still = [[[1, 0, 0], [0, 1, 0], [0, 0, 1]]] * 10
    rows = {"kp": points, "exp": points, "rotation": still, "t": [[0, 0, 0]] * 10, "scale": [1] * 10}
    eyes = {"eyes": [[0.3, 0.3]] * 10, "lips": [0.1] * 10}
    return json.dumps({"version": 1, "fps": 25.0, **rows, **eyes}).encode()


def portraits() -> list[Path]:
    """Public test photos inside packages of the worker's environment."""
    return sorted(WORKER.parents[1].glob("lib/*/site-packages/matplotlib/mpl-data/sample_data/*hopper.jpg"))


@pytest.mark.skipif(not portraits(), reason="no test photo: install the worker's dev group with `make setup`")
async def test_a_photo_becomes_a_speaking_persona_and_is_erased_to_the_last_file(
    real_rooms: Any, render_to_end: Any, settings: Any, blobs: Any
) -> None:
    async def chunks(content: bytes) -> AsyncIterator[bytes]:
        yield content

    nod = await real_rooms.assets.upload(chunks(template()), AssetLabels(name="nod.json"))
    await real_rooms.prober.probe(nod.id)
    nod = await real_rooms.assets.get(nod.id)
    assert (nod.kind, nod.duration_ms, nod.metadata["probe"]) == ("motion", 400, {"state": "read"})

    async def people() -> CreatedPersona:
        content = portraits()[0].read_bytes()
        asset = await real_rooms.assets.upload(chunks(content), AssetLabels(name="hopper.jpg"))
        consent = {"person": "G. H.", "purpose": "a test", "granted_at": "2026-01-01"}
        draft = {
            "name": "Grace", "media": asset.id, "consent": consent, "driving": nod.id, "engine": "mesh",
        }  # fmt: skip
        persona: CreatedPersona = await real_rooms.personas.create(PersonaDraft.model_validate(draft))
        return persona

    try:
        persona = await people()
    except SoundstageError as error:
        # Where MediaPipe has no wheels (Python 3.13) the worker must say just this.
        assert error.code == "face.unavailable"
        return
    assert any("glasses" in warning for warning in persona.warnings)
    await real_rooms.assets.delete(nod.id)
    view = await render_to_end(real_rooms, "Hi.", persona="grace")
    assert view.error is None and view.state is RenderState.DONE
    left_out = [notice.message for notice in view.warnings if notice.code == "driving.left_out"]
    assert left_out and "nod.json" in left_out[0], "the worker had it at hand"
    assert any((settings.state_dir / "cache").rglob("*.*")), "the worker has kept what it measured"
    await real_rooms.people.erase_persona("grace")
    assert [blob async for blob in blobs.iterate()] == []
    for folder in (settings.out_dir, settings.state_dir / "cache", settings.state_dir / "personas"):
        assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_a_character_that_does_not_exist_fails_in_the_workers_words(
    real_rooms: Any, render_to_end: Any, settings: Any
) -> None:
    (settings.personas_dir / "ghost.yaml").write_text(
        "id: ghost\nname: Ghost\nface: {kind: rig, character: ghost}\n"
    )
    view = await render_to_end(real_rooms, "Boo.", persona="ghost")
    assert (view.state, view.error.code) == (RenderState.FAILED, "face.unknown_character")
    assert not settings.out_dir.exists() or list(settings.out_dir.iterdir()) == []
