"""A voice for a presenter in one guided way: its file, its licence, a sample, and the presenter has it."""

from __future__ import annotations

import base64
import io
import json
import sys
import wave
from array import array
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from voice_server import VoiceServer
from voice_stage import refusal

from farm.local import LocalOptions, LocalScheduler
from soundstage.blobs import BlobStore
from soundstage.settings import Settings
from studio.personas.schemas import Persona
from studio.wiring import Studio, worker_cache

ROOT = Path(__file__).parents[3]
WORKER = ROOT / "avatar" / ".venv" / "bin" / "avatar"
DOUBLE = ROOT / "tests" / "avatar" / "speech" / "piper_double.py"
ONNX = b"\x08\x08\x3a\x02\x0a\x00"
"""The outermost fields of a model: the version of its format, and an empty graph."""
CARD = {
    "audio": {"sample_rate": 22050},
    "phoneme_id_map": {"_": [0]},
    "espeak": {"voice": "en-gb"},
    "num_speakers": 1,
}
FLITE = {"kind": "flite", "voice": "rms"}
PIPER = {"kind": "piper", "voice": "en_GB-test-medium"}


@pytest.fixture
async def scheduler(settings: Settings, blobs: BlobStore) -> AsyncIterator[LocalScheduler]:
    options = LocalOptions((str(WORKER),), settings.state_dir / "work", worker_cache(settings))
    created = LocalScheduler(blobs, options)
    yield created
    await created.close()


@pytest.fixture
async def studio_rooms(new_studio: Callable[..., Studio]) -> AsyncIterator[Studio]:
    created = new_studio(worker_command=(str(WORKER),))
    created.library.save(Persona(id="ada", name="Ada"))
    yield created
    await created.dispatcher.close()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of weights, and the double that speaks Piper's command line."""
    with wave.open(str(tmp_path / "says.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(22050)
        sound.writeframes(array("h", [8000, -8000] * 22050).tobytes())
    program = tmp_path / "piper"
    variables = f"PIPER_SAYS={tmp_path / 'says.wav'} PIPER_LOG={tmp_path / 'piper.log'}"
    program.write_text(f'#!/bin/sh\n{variables} exec {sys.executable} {DOUBLE} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("AVATAR_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("AVATAR_PIPER", str(program))
    return tmp_path / "models"


async def add_file(
    client: httpx.AsyncClient, content: bytes = ONNX, card: Any = CARD, name: str = "en_GB-test-medium.onnx"
) -> httpx.Response:
    data = {} if card is None else {"card": json.dumps(card)}
    return await client.post("/api/voices/files", data=data, files={"file": (name, content)})


def files_in(folder: Path) -> list[Path]:
    return list(folder.glob("*"))


def samples_of(trial: Any) -> array[int]:
    with wave.open(io.BytesIO(base64.b64decode(trial["wav_base64"]))) as sound:
        return array("h", sound.readframes(sound.getnframes()))


async def test_a_built_in_voice_speaks_a_sample_and_needs_no_licence(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/voices/trials", json={"voice": FLITE, "text": "Good morning to you."})
    trial = answer.json()
    assert answer.status_code == 200, trial
    assert trial["text"] == "Good morning to you." and 800 < trial["duration_ms"] < 4000
    assert max(samples_of(trial)) > 3000 and not trial["licence"]["to_accept"]
    adopted = await client.put("/api/personas/ada/voice", json={"voice": FLITE})
    assert adopted.json()["voice"]["voice"] == "rms"


async def test_a_piper_file_becomes_a_presenters_voice_once_its_licence_is_accepted(
    client: httpx.AsyncClient, models: Path
) -> None:
    added = await add_file(client)
    assert added.status_code == 201, added.json()
    assert added.json()["voice"] == {**added.json()["voice"], **PIPER}
    assert added.json()["language"] == "en-gb" and "MODEL_CARD" in added.json()["licence"]["name"]
    assert (models / "piper" / "en_GB-test-medium.onnx").read_bytes() == ONNX
    trial = (await client.post("/api/voices/trials", json={"voice": PIPER, "language": "en-gb"})).json()
    assert "The tide" in trial["text"] and max(samples_of(trial)) > 3000
    adoption = {"voice": PIPER}
    refused = await client.put("/api/personas/ada/voice", json=adoption)
    assert refusal(refused) == (422, "voice.licence_not_accepted")
    assert (await client.get("/api/personas/ada")).json()["voice"]["kind"] == "flite"
    accepted = await client.put("/api/personas/ada/voice", json={**adoption, "licence_accepted": True})
    assert accepted.status_code == 200 and accepted.json()["voice"]["voice"] == "en_GB-test-medium"
    assert (await client.get("/api/personas/ada")).json()["voice"]["kind"] == "piper"


async def test_a_file_that_is_no_voice_is_named_and_leaves_nothing(
    client: httpx.AsyncClient, models: Path, settings: Settings
) -> None:
    for content, card, name, code in (
        (b"\x08", CARD, "a.onnx", "voice.bad_file"),
        (b"PK\x03\x04", CARD, "a.onnx", "voice.bad_file"),
        (ONNX, None, "a.onnx", "voice.bad_file"),
        (ONNX, {"audio": {}}, "a.onnx", "voice.bad_file"),
        (ONNX, CARD, "a.wav", "voice.bad_file"),
        (ONNX, CARD, "../a.onnx", "voice.bad_file"),
    ):
        assert refusal(await add_file(client, content, card, name)) == (422, code), (content, name)
    assert files_in(models / "piper") == files_in(settings.state_dir / "voice-files") == []
    unknown = await client.post("/api/voices/trials", json={"voice": {"kind": "piper", "voice": "gone"}})
    assert refusal(unknown)[1] == "weights.missing"


async def test_a_service_must_be_set_up_and_must_answer(
    client: httpx.AsyncClient, server: VoiceServer, settings: Settings
) -> None:
    elsewhere = {"kind": "openai", "base_url": "http://127.0.0.1:9"}
    answer = await client.post("/api/voices/trials", json={"voice": elsewhere})
    assert refusal(answer) == (403, "voice.service_not_allowed")
    ours = {"kind": "openai", "base_url": server.url}
    assert refusal(await client.post("/api/voices/trials", json={"voice": ours}))[1].startswith("speech.")
    adopted = await client.put("/api/personas/ada/voice", json={"voice": ours})
    assert refusal(adopted) == (422, "voice.licence_not_accepted")


async def test_only_presenters_of_ones_own_get_another_voice(client: httpx.AsyncClient) -> None:
    for persona, expected in (("nova", (409, "persona.shipped")), ("nobody", (404, "persona.not_found"))):
        answer = await client.put(f"/api/personas/{persona}/voice", json={"voice": FLITE})
        assert refusal(answer) == expected
