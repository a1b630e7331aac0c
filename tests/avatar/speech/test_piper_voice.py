"""A voice file of the operator is spoken by Piper, a separate program."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avatar.errors import AvatarError
from avatar.pipeline.consent import require_consent
from avatar.pipeline.doctor import Check, examine
from avatar.spec import PiperVoice, Scene
from avatar.speech import speak
from avatar.tracks import SpeechTrack

VOICE = "en_US-test-medium"
SENTENCE = "Seven ships sailed slowly past the old harbour."

Say = Callable[..., SpeechTrack]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def voice(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder with one voice of two speakers, and the double as Piper."""
    model = tmp_path / "models" / "piper" / f"{VOICE}.onnx"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"x")
    card = {"audio": {"sample_rate": 22050}, "phoneme_id_map": {"_": [0]}, "num_speakers": 2}
    Path(f"{model}.json").write_text(json.dumps(card))
    program = tmp_path / "piper"
    double = Path(__file__).with_name("piper_double.py")
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {double} "$@"\n')
    program.chmod(0o755)
    sound = speak(Scene(id="s", script=SENTENCE), tmp_path / "sound", lambda ref: Path())
    for name, value in {
        "AVATAR_MODELS": tmp_path / "models",
        "AVATAR_PIPER": program,
        "PIPER_SAYS": sound.wav,
        "PIPER_LOG": log,
    }.items():
        monkeypatch.setenv(name, str(value))
    return model


@pytest.fixture
def say(tmp_path: Path) -> Say:
    def run(script: str = SENTENCE, **options: Any) -> SpeechTrack:
        scene = Scene(id="s", script=script, voice=PiperVoice(voice=VOICE, **options))
        return speak(scene, tmp_path / "said", lambda ref: Path())

    return run


def requests_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_sentence_is_spoken_and_its_sounds_are_timed(say: Say, voice: Path, log: Path) -> None:
    track = say()
    assert track.sample_rate_hz == 22050 and track.phone_source == "aligned"
    assert [word.text for word in track.words] == SENTENCE.split()
    (request,) = requests_of(log)
    assert request["model"] == str(voice) and request["config"] == f"{voice}.json"
    assert request["lines"] == [SENTENCE] and request["length_scale"] == 1.0 and request["speaker"] is None


def test_pace_and_speaker_are_handed_on(say: Say, voice: Path, log: Path) -> None:
    plain = say().duration_ms
    faster = say(speed=1.25, speaker=1)
    assert requests_of(log)[-1]["length_scale"] == pytest.approx(0.8) and requests_of(log)[-1]["speaker"] == 1
    assert faster.duration_ms < plain


def test_a_passage_is_one_line_whatever_the_script_looks_like(say: Say, voice: Path, log: Path) -> None:
    say("Seven ships\nsailed slowly [pause 300ms] past\tthe old\n\nharbour.")
    assert [request["lines"][0] for request in requests_of(log)] == [
        "Seven ships sailed slowly",
        "past the old",
        "harbour.",
    ]
    assert all(len(request["lines"]) == 1 for request in requests_of(log))


def test_what_stands_in_a_script_is_no_option(say: Say, voice: Path, log: Path) -> None:
    say("--speaker 7; $(touch x) `id` are words.")
    (request,) = requests_of(log)
    assert request["speaker"] is None and request["lines"][0].startswith("--speaker 7")


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("crash", "speech.piper_failed", "status 134: terminate called: bad model"),
        ("silent", "speech.piper_failed", "status 0"),
        ("garbage", "speech.upstream_bad_audio", "Piper"),
    ],
)
def test_what_piper_does_wrong_is_told(
    say: Say, voice: Path, monkeypatch: pytest.MonkeyPatch, fault: str, code: str, message: str
) -> None:
    monkeypatch.setenv("PIPER_FAULT", fault)
    with pytest.raises(AvatarError) as failed:
        say()
    assert failed.value.code == code and message in failed.value.message


def test_what_is_missing_is_told(say: Say, voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AvatarError) as failed:
        say(speaker=2)
    assert failed.value.code == "speech.unknown_speaker"
    monkeypatch.setenv("AVATAR_PIPER", "/nowhere/piper")
    with pytest.raises(AvatarError) as failed:
        say()
    assert failed.value.code == "speech.piper_missing"
    Path(f"{voice}.json").unlink()
    with pytest.raises(AvatarError) as failed:
        say()
    assert failed.value.code == "weights.no_voice_card"
    voice.unlink()
    with pytest.raises(AvatarError) as failed:
        say()
    assert failed.value.code == "weights.missing" and "MODEL_CARD" in failed.value.message


def examine_voice(tmp_path: Path) -> Check | None:
    return next((one for one in examine(tmp_path / "cache") if one.name == "piper"), None)


def test_the_doctor_names_piper_its_voices_and_their_licence(
    voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = examine_voice(tmp_path)
    assert found is not None and found.state == "ok"
    assert VOICE in found.detail and str(tmp_path / "piper") in found.detail and "MODEL_CARD" in found.detail
    Path(f"{voice}.json").rename(tmp_path / "card")
    found = examine_voice(tmp_path)
    assert found is not None and found.state == "limited" and f"unusable: {VOICE}" in found.detail
    (tmp_path / "card").rename(f"{voice}.json")
    monkeypatch.setenv("AVATAR_PIPER", "/nowhere/piper")
    found = examine_voice(tmp_path)
    assert found is not None and found.state == "limited" and "AVATAR_PIPER" in found.hint
    voice.unlink()
    monkeypatch.setenv("AVATAR_PIPER", str(tmp_path / "piper"))
    found = examine_voice(tmp_path)
    assert found is not None and found.state == "limited" and "no voice file" in found.detail
    monkeypatch.delenv("AVATAR_PIPER")
    assert examine_voice(tmp_path) is None


def test_a_voice_is_the_name_of_a_file_and_no_path() -> None:
    for name in ("../x", "/etc/x", "-x", ".x", "a/b", ""):
        with pytest.raises(ValueError, match="voice"):
            PiperVoice(voice=name)


def test_a_cloned_voice_needs_consent() -> None:
    with pytest.raises(AvatarError) as refused:
        require_consent(Scene(id="s", script="Hi.", voice=PiperVoice(voice=VOICE, cloned=True)))
    assert refused.value.code == "consent.required"
