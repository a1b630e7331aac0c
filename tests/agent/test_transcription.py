"""Transcribing recordings: real worker, real recogniser, and a double that speaks OpenAI's wire format."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from brain_answers import answer
from local_login import log_in_locally
from metric_values import metric_value
from spoken_words import silence, speech
from tiny_whisper import write_tiny_whisper
from transcription_server import KEY, TranscriptionServer, transcription_server
from waiting import eventually_async

from agent.transcription.local import LocalRecogniser, check_installed
from agent.transcription.openai_server import OpenAIRecogniser
from agent.transcription.recognition import wav_of
from app.composition import Services, open_services, run_background_workers
from app.server.web import create_app
from policy import Principal
from soundstage.errors import SoundstageError
from soundstage.http import NO_LISTENERS
from soundstage.settings import Settings
from soundstage.settings.conversation import TranscriptionSettings

WORKER = Path(__file__).parents[2] / "avatar" / ".venv" / "bin" / "avatar"
needs_worker = pytest.mark.skipif(not os.access(WORKER, os.X_OK), reason="needs the worker: make setup")
ADA = Principal(id="key_ada", name="Ada", role="editor", kind="key")
WELCOME = "hello everybody and welcome back"


@pytest.fixture
async def server() -> AsyncIterator[TranscriptionServer]:
    async with transcription_server() as found:
        yield found


def settings_of(tmp_path: Path, base_url: str, key: str = KEY, **more: Any) -> TranscriptionSettings:
    file = tmp_path / "key"
    file.write_text(key)
    return TranscriptionSettings.model_validate(
        {"recogniser": "openai", "base_url": base_url, "api_key_file": file, **more}
    )


@pytest.mark.parametrize("words", [True, False], ids=["words", "segments"])
async def test_a_server_is_asked_in_its_own_form_and_its_words_have_times(
    server: TranscriptionServer, tmp_path: Path, words: bool
) -> None:
    server.words = words
    recogniser = OpenAIRecogniser(settings_of(tmp_path, server.base_url), NO_LISTENERS)
    found = await recogniser.recognise(silence(4), "en")
    assert server.requests == [
        {"format": "verbose_json", "granularities": ["word", "segment"], "language": "en"}
    ]
    assert found.text == server.text == " ".join(word.text for word in found.words)
    times = [time for word in found.words for time in (word.start_ms, word.end_ms)]
    assert times == sorted(times) and (times[0], times[-1]) == (0, 4000)
    assert 0.85 < found.confidence < 0.95, "e to the power of the segment's mean log-probability"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"key": "wrong"}, "transcription.denied"),
        ({"model": "another"}, "transcription.rejected"),
        ({"status": 503}, "transcription.failed"),
        ({"base_url": "http://127.0.0.1:1/v1"}, "transcription.unreachable"),
    ],
)
async def test_what_a_server_refuses_has_a_code_and_keeps_the_key(
    server: TranscriptionServer, tmp_path: Path, change: dict[str, Any], code: str
) -> None:
    server.status = change.pop("status", 200)
    settings = settings_of(tmp_path, **{"base_url": server.base_url, **change})
    with pytest.raises(SoundstageError) as refused:
        await OpenAIRecogniser(settings, NO_LISTENERS).recognise(silence(1))
    assert refused.value.code == code
    assert KEY not in f"{refused.value.message} {refused.value.hint}" and refused.value.hint


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"recogniser": "none"}, "transcription.off"),
        ({"recogniser": "openai"}, "transcription.not_set_up"),
        ({"recogniser": "whisper"}, "transcription.no_model"),
        ({"recogniser": "whisper", "model_dir": "/nowhere"}, "transcription.no_model"),
    ],
)
async def test_a_recogniser_that_lacks_something_says_what(
    settings: dict[str, Any], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.transcription.local.find_spec", lambda _: True)
    home = Settings.model_validate({"state_dir": tmp_path / "state", "transcription": settings})
    async with open_services(home) as services:
        with pytest.raises(SoundstageError) as refused:
            await services.transcription.recognise(silence(1), "en")
    assert refused.value.code == code
    assert "transcription." in refused.value.hint


def test_an_engine_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.transcription.local.find_spec", lambda _: None)
    with pytest.raises(SoundstageError) as refused:
        check_installed("whisper", None)
    assert refused.value.code == "transcription.not_installed" and "--extra whisper" in refused.value.hint


async def test_the_embedded_recogniser_hears_free_speech_and_ends_when_idle() -> None:
    pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")
    recogniser = LocalRecogniser("embedded", None, 60, idle_s=0.5)
    partial: list[str] = []

    async def note(text: str) -> None:
        partial.append(text)

    try:
        found = await recogniser.recognise(silence(0.3) + speech(WELCOME) + silence(0.3), "en", note)
        assert found.text == WELCOME and partial and WELCOME.startswith(partial[0].split()[0])
        assert found.confidence > 0.6 and found.words[0].start_ms > 200
        again = await recogniser.recognise(silence(1), "en")
        assert again.words == ()
        await eventually_async(lambda: recogniser.process is None, "the end of the process")
    finally:
        await recogniser.close()


@needs_worker
async def test_a_recording_is_transcribed_as_upload_and_as_asset_and_audited(
    server: TranscriptionServer, settings: Settings, tmp_path: Path
) -> None:
    transcription = settings_of(tmp_path, server.base_url).model_dump()
    home = Settings.model_validate({**settings.model_dump(), "transcription": transcription})
    async with open_services(home) as services, run_background_workers(services, dispatch=False):
        headers = await log_in_locally(services.policy)
        transport = httpx.ASGITransport(create_app(services))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://studio", headers=headers, timeout=60
        ) as api:
            sound = {"file": ("memo.wav", wav_of(silence(4)), "audio/wav")}
            before = await services.blobs.usage_bytes()
            uploaded = await api.post("/api/transcriptions", files=sound)
            assert uploaded.status_code == 200, uploaded.text
            body = uploaded.json()
            assert (body["text"], body["duration_ms"]) == (server.text, 4000)
            assert body["vtt"].startswith("WEBVTT") and server.text in body["vtt"].replace("\n", " ")
            assert body["srt"].startswith("1\n00:00:00,000 --> ")
            assert [word["text"] for word in body["words"]] == server.text.split()
            assert await services.blobs.usage_bytes() == before, "nothing of an upload is kept"

            asset = (await api.post("/api/assets", files=sound)).json()
            captions = await api.post(
                "/api/transcriptions?form=vtt", json={"asset": asset["id"], "language": "en"}
            )
            assert captions.text == body["vtt"] and captions.headers["content-type"].startswith("text/vtt")
            for request, code in (
                ({"asset": "ast_none"}, "asset.not_found"),
                ({}, "transcription.bad_request"),
            ):
                assert (await api.post("/api/transcriptions", json=request)).json()["code"] == code
            text = await api.post("/api/transcriptions", content=b"no sound at all")
            assert text.status_code in (415, 422), text.text

            lines = (await api.get("/api/audit")).json()
            lines = lines["lines"] if isinstance(lines, dict) else lines
            done = [line for line in lines if line["kind"] == "recording.transcribed"]
            assert {line["subject"] for line in done} == {"upload", asset["id"]}
            assert server.text not in str(done)

        ada = await services.brain.sessions.open(Principal.local_admin("tests"))
        events = await answer(services.brain, ada, f"Make captions for the footage {asset['id']}")
        assert "WEBVTT" in str(events), events
        latest = await answer(services.brain, ada, "transcribe this recording")
        assert server.text in str(latest), latest
        recordings = {"recogniser": "openai", "source": "recording"}
        assert metric_value("transcription_seconds", **recordings) == 4
        assert (await services.transcription.recognise(silence(1), "en")).text == server.text
        assert metric_value("transcription_seconds", source="speech") == 1


@needs_worker
async def test_a_viewer_may_not_have_recordings_transcribed(services: Services) -> None:
    viewer = Principal(id="key_eve", name="Eve", role="viewer", kind="key")
    assert not viewer.may("asset:transcribe") and ADA.may("asset:transcribe")


async def test_whisper_is_loaded_from_the_operators_folder(tmp_path: Path) -> None:
    pytest.importorskip(
        "faster_whisper", reason="needs faster-whisper: run `uv sync --inexact --extra whisper`"
    )
    # Its weights are random: the way there and back is tested, not what it hears.
    write_tiny_whisper(tmp_path)
    recogniser = LocalRecogniser("whisper", tmp_path, 120)
    try:
        found = await recogniser.recognise(silence(0.3) + speech(WELCOME), "en")
        assert found.language == "en" and tmp_path.name in recogniser.name
        times = [time for word in found.words for time in (word.start_ms, word.end_ms)]
        assert all(0 <= time <= 30_000 for time in times)
    finally:
        await recogniser.close()
