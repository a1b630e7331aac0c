"""`soundstage voices`: the consent is on record before a sample goes anywhere, and ends with the voice."""

from __future__ import annotations

import json
import sqlite3
import sys
import wave
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sentences import SentenceSnapshot
from voice_server import VoiceServer, voice_server

Cli = Callable[..., Any]

STAND_IN = Path(__file__).parents[1] / "farm" / "stand_in.py"
SAMPLE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64) + b"\n!sound 5000"


@pytest.fixture
def server() -> Iterator[VoiceServer]:
    with voice_server() as running:
        yield running


@pytest.fixture
def ada(home: Path, server: VoiceServer) -> list[str]:
    """The command that adds her voice, where the settings name a speech service."""
    worker = [sys.executable, "-I", "-S", str(STAND_IN)]
    settings = f'[worker]\ncommand = {worker!r}\n[services.tts_openai]\nbase_url = "{server.url}/v1"\n'
    (home / "config.toml").write_text(settings)
    (home / "ada.wav").write_bytes(SAMPLE)
    return ["voices", "add", "ada.wav", "--name", "ada", "--said", "The tide."]


WHO = ("--person", "Ada", "--purpose", "Tutorials.", "--granted-at", "2026-11-02")


def consents(home: Path) -> list[tuple[str, str | None]]:
    with sqlite3.connect(next(home.glob("state/*.db"))) as database:
        return database.execute("select id, revoked_at from consents").fetchall()


def test_a_voice_has_a_consent_of_the_studio_which_ends_with_it(
    cli: Cli, ada: list[str], home: Path, server: VoiceServer, snapshot: SentenceSnapshot
) -> None:
    added = cli(*ada, *WHO, "--json")
    assert added.code == 0, added.err
    (voice,) = added.json
    ((consent_id, revoked),) = consents(home)
    assert voice["consent"]["id"] == consent_id and voice["consent"]["person"] == "Ada"
    assert voice["consent"]["granted_at"].startswith("2026-11-02") and revoked is None
    assert server.voices[voice["voice_id"]]["audio_sample"] == SAMPLE
    listed = cli("voices", "list").out
    assert "Ada" in listed and "2026-11-02" in listed and "ready" in listed
    assert cli("voices", "remove", "ada").code == 0
    assert server.voices == {} and consents(home)[0][1] is not None
    assert cli("voices", "list").out.strip() == snapshot("no_voices")


def test_the_consent_in_a_file_beside_the_sample_is_recorded_with_the_voice(
    cli: Cli, ada: list[str], home: Path, server: VoiceServer
) -> None:
    file = home / "ada.wav.consent.json"
    file.write_text('{"id": "mine", "person": "Ada"}')
    damaged = cli(*ada)
    assert damaged.code == 1 and "consent.unreadable" in damaged.err and server.keys == []
    file.write_text('{"id": "mine", "person": "Ada", "granted_at": "2026-11-02", "purpose": "Tutorials."}')
    added = cli(*ada, "--json")
    assert added.code == 0, added.err
    consent = added.json[0]["consent"]
    assert (consent["person"], consent["granted_at"][:10]) == ("Ada", "2026-11-02")
    assert consent["id"] != "mine" and added.json[0]["voice"]["consent"] is not None
    assert cli("voices", "remove", "ada").code == 0 and consents(home)[0][1] is not None


def test_the_operator_may_name_any_service_and_its_key(
    cli: Cli, ada: list[str], server: VoiceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with voice_server() as other:
        monkeypatch.setenv("SPEECH_KEY", "sk-1")
        added = cli(*ada, *WHO, "--service", other.url, "--key-env", "SPEECH_KEY", "--json")
        assert added.code == 0, added.err
        assert other.keys == ["Bearer sk-1"] and server.keys == [] and "sk-1" not in added.out + added.err
        assert added.json[0]["voice"]["api_key_env"] == "SPEECH_KEY"


def test_when_the_service_does_not_take_it_the_consent_is_of_no_use(
    cli: Cli, ada: list[str], home: Path, server: VoiceServer
) -> None:
    server.status = 400
    refused = cli(*ada, *WHO)
    assert refused.code == 1 and "speech.upstream_rejected" in refused.err and "no room" in refused.err
    assert [revoked is not None for _, revoked in consents(home)] == [True]
    server.status = 200
    assert cli(*ada, *WHO).code == 0, "and its name is free"


def test_a_service_that_is_gone_for_good_can_be_forgotten(
    cli: Cli, ada: list[str], home: Path, server: VoiceServer, snapshot: SentenceSnapshot
) -> None:
    assert cli(*ada, *WHO).code == 0
    server.status = 503
    assert cli("voices", "remove", "ada").code == 1
    assert cli("voices", "remove", "ada", "--forget").code == 0
    assert cli("voices", "list").out.strip() == snapshot("no_voices")


def test_person_and_purpose_must_be_named_or_a_consent_that_is_on_record(
    cli: Cli, ada: list[str], home: Path, server: VoiceServer
) -> None:
    assert cli(*ada).code == 2 and not list(home.glob("state/*.db"))
    unknown = cli(*ada, "--consent", "cns_nobody")
    assert unknown.code == 1 and "consent.required" in unknown.err
    assert cli(*ada[:4], "../ada", *ada[5:], *WHO).code == 1
    unnamed = cli(*ada, "--person", "", "--purpose", "Tutorials.")
    assert unnamed.code == 1 and "voice.bad_labels" in unnamed.err and "person" in unnamed.err
    for more in (("--person", "Ada"), ("--purpose", "Tutorials."), WHO):
        both = cli(*ada, *more, "--consent", "cns_nobody")
        assert both.code == 2 and "--consent" in both.err, both.err
    assert server.keys == []


ROOT = Path(__file__).parents[2]
PIPER = ROOT / "tests" / "avatar" / "speech" / "piper_double.py"


@pytest.fixture
def piper_voice(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A voice file with its cards, the real worker, a presenter, and the double that speaks for Piper."""
    with wave.open(str(home / "says.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(22050)
        sound.writeframes(array("h", [8000, -8000] * 22050).tobytes())
    program = home / "piper"
    variables = f"PIPER_SAYS={home / 'says.wav'} PIPER_LOG={home / 'piper.log'}"
    program.write_text(f'#!/bin/sh\n{variables} exec {sys.executable} {PIPER} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("AVATAR_MODELS", str(home / "models"))
    monkeypatch.setenv("AVATAR_PIPER", str(program))
    worker = ROOT / "avatar" / ".venv" / "bin" / "avatar"
    (home / "config.toml").write_text(f'[worker]\ncommand = ["{worker}"]\n')
    folder = home / "state" / "personas"
    folder.mkdir(parents=True)
    (folder / "ada.yaml").write_text("id: ada\nname: Ada\n")
    voice = home / "en_GB-test-medium.onnx"
    voice.write_bytes(b"\x08\x08\x3a\x02\x0a\x00")
    card = {"audio": {"sample_rate": 22050}, "phoneme_id_map": {"_": [0]}, "espeak": {"voice": "en-gb"}}
    Path(f"{voice}.json").write_text(json.dumps(card))
    (home / "MODEL_CARD").write_text("# Model card\n* Language: en_GB\n* License: CC0\n")
    return voice


def test_a_voice_file_is_tried_and_given_to_a_presenter(cli: Cli, piper_voice: Path, home: Path) -> None:
    add = ("voices", "add", str(piper_voice), "--listen", str(home / "sample.wav"))
    tried = cli(*add)
    assert tried.code == 0, tried.err
    assert "License: CC0" in tried.out and "--accept-licence" in tried.out
    with wave.open(str(home / "sample.wav")) as sound:
        assert sound.getnframes() > sound.getframerate()
    refused = cli(*add, "--persona", "ada")
    assert refused.code == 1 and "voice.licence_not_accepted" in refused.err
    added = cli(*add, "--persona", "ada", "--accept-licence", "--json")
    assert added.code == 0 and added.json["persona"] == "ada", added.err
    assert added.json["voice"]["voice"] == "en_GB-test-medium"
    shown = cli("personas", "list", "--json")
    assert "en_GB-test-medium" in shown.out


def test_what_cannot_become_a_voice_is_named(cli: Cli, piper_voice: Path, home: Path) -> None:
    missing = cli("voices", "add", "gone.onnx")
    assert missing.code == 1 and "file.unreadable" in missing.err
    piper_voice.write_bytes(b"\x08")
    broken = cli("voices", "add", str(piper_voice))
    assert broken.code == 1 and "voice.bad_file" in broken.err
    Path(f"{piper_voice}.json").unlink()
    alone = cli("voices", "add", str(piper_voice))
    assert alone.code == 1 and "file.unreadable" in alone.err and ".onnx.json" in alone.err
    elsewhere = cli("voices", "add", "http://127.0.0.1:9")
    assert elsewhere.code == 1 and "voice.service_not_allowed" in elsewhere.err
    settings = (home / "config.toml").read_text()
    (home / "config.toml").write_text(f'{settings}[services.tts_openai]\nbase_url = "http://127.0.0.1:9"\n')
    silent = cli("voices", "add", "http://127.0.0.1:9")
    assert silent.code == 1 and "speech.upstream_unreachable" in silent.err
    assert cli("voices", "add", "nothing.wav").code == 2 and not (home / "voice-sample.wav").exists()
