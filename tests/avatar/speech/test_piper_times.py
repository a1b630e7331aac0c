"""The package piper-tts speaks in one warm process, and its own times of phones are the track's.

The stand-in runs always; the package itself where `scripts/piper_environment` has installed it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from avatar.errors import AvatarError
from avatar.spec import PiperVoice, Scene
from avatar.speech import piper_process, speak
from avatar.speech.piper_times import times_of
from avatar.tracks import SpeechTrack

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
VOICE = "en_US-test-medium"
SENTENCE = "Seven of the ships owe £2,750! They sail slowly."

Say = Callable[..., SpeechTrack]


def piper_environment() -> Path | None:
    found = subprocess.run(
        [ROOT / "scripts" / "piper_environment", "--there"], capture_output=True, text=True, check=False
    )
    return Path(found.stdout.strip()) if found.returncode == 0 else None


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "piper" / f"{VOICE}.onnx"
    path.parent.mkdir(parents=True)
    return path


def use(monkeypatch: pytest.MonkeyPatch, program: Path, model: Path, log: Path) -> None:
    for name, value in {
        "AVATAR_MODELS": model.parents[1],
        "AVATAR_PIPER": program,
        "PIPER_LOG": log,
    }.items():
        monkeypatch.setenv(name, str(value))


@pytest.fixture
def stand_in(tmp_path: Path, model: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    model.write_bytes(b"x")
    card = {"audio": {"sample_rate": 22050}, "phoneme_id_map": {"_": [0]}, "num_speakers": 2}
    Path(f"{model}.json").write_text(json.dumps(card))
    folder = tmp_path / "environment"
    folder.mkdir()
    (folder / "piper").write_text("#!/environment/bin/python3\n")
    python = folder / "python3"
    # `-I` would leave the stand-in out.
    python.write_text(
        f'#!/bin/sh\nshift\nPYTHONSAFEPATH=1 PYTHONPATH={HERE / "piper_package"} exec {sys.executable} "$@"\n'
    )
    for program in (folder / "piper", python):
        program.chmod(0o755)
    use(monkeypatch, folder / "piper", model, log)
    return model


@pytest.fixture
def package(model: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    environment = piper_environment()
    if environment is None:
        pytest.skip("needs the package piper-tts: scripts/piper_environment")
    subprocess.run([environment / "bin" / "python", HERE / "tiny_voice.py", model], check=True)
    use(monkeypatch, environment / "bin" / "piper", model, log)
    return model


@pytest.fixture(params=["stand_in", "package"])
def voice(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.fixture(autouse=True)
def no_process() -> Iterator[None]:
    piper_process._process.cache_clear()
    yield
    piper_process._process.cache_clear()


@pytest.fixture
def say(tmp_path: Path) -> Say:
    def run(script: str = SENTENCE, **options: Any) -> SpeechTrack:
        scene = Scene(id="s", script=script, voice=PiperVoice(voice=VOICE, **options))
        return speak(scene, tmp_path / "out", lambda ref: Path())

    return run


def test_phones_and_words_have_the_times_of_the_voice(say: Say, voice: Path) -> None:
    track = say()
    assert track.phone_source == "engine" and track.sample_rate_hz == 22050 and track.notes == ()
    assert [word.text for word in track.words] == SENTENCE.split()
    starts = [word.start_ms for word in track.words]
    assert starts == sorted(set(starts))
    # Each word begins where one of its phones does, and sounds while phones do.
    phones = [phone for phone in track.phones if phone.ipa]
    assert {word.start_ms for word in track.words} <= {phone.start_ms for phone in phones}
    first = {word.text: next(p.ipa for p in phones if p.start_ms == word.start_ms) for word in track.words}
    assert first["Seven"] == "s" and first["ships"] in ("s", "ʃ") and first["slowly."] == "s"
    assert all(a.end_ms == b.start_ms for a, b in zip(track.phones, track.phones[1:], strict=False))
    assert track.phones[-1].end_ms == track.duration_ms
    with wave.open(str(track.wav)) as sound:
        assert abs(sound.getnframes() * 1000 / sound.getframerate() - track.duration_ms) < 1


def test_pauses_of_the_script_are_exact(say: Say, voice: Path) -> None:
    track = say("Seven ships [pause 900ms] sail slowly.")
    plain = say("Seven ships sail slowly.")
    pause = track.words[2].start_ms - track.words[1].end_ms
    assert 900 <= pause < 1100 and plain.words[2].start_ms - plain.words[1].end_ms < 100


def test_speed_shortens_every_phone(say: Say, voice: Path) -> None:
    assert 0.5 < say(speed=1.5).duration_ms / say().duration_ms < 0.9


def test_one_process_speaks_passage_after_passage(say: Say, stand_in: Path, log: Path) -> None:
    say("Seven ships [pause 300ms] sail [pause 300ms] slowly.")
    say("They are gone.")
    loads = [json.loads(line) for line in log.read_text().splitlines()]
    assert loads == [{"load": str(stand_in), "alignments": True}]
    # Another file in its place is another voice.
    stand_in.write_bytes(b"y")
    os.utime(stand_in, ns=(1, 1))
    say("They are back.")
    assert len(log.read_text().splitlines()) == 2


def test_a_process_that_is_gone_is_started_again(say: Say, stand_in: Path, log: Path) -> None:
    say("One.")
    info = piper_process._process.cache_info()
    assert info.currsize == 1
    python = piper_process.python_of(os.environ["AVATAR_PIPER"])
    assert python is not None
    process = piper_process._process(python, stand_in, stand_in.stat().st_mtime_ns)
    os.kill(process._child.pid, signal.SIGKILL)
    process._child.wait()
    assert say("Two.").phone_source == "engine"
    assert len(log.read_text().splitlines()) == 2


def test_a_voice_without_times_is_aligned(say: Say, stand_in: Path) -> None:
    card = Path(f"{stand_in}.json")
    card.write_text(json.dumps({**json.loads(card.read_text()), "aligned": False}))
    assert say("Seven ships.").phone_source != "engine"


def test_a_crash_and_a_broken_voice_are_named(say: Say, stand_in: Path) -> None:
    with pytest.raises(AvatarError) as failed:
        say("A crash comes.")
    assert failed.value.code == "speech.piper_failed" and "status 9" in failed.value.message
    stand_in.write_bytes(b"broken")
    with pytest.raises(AvatarError) as failed:
        say()
    assert failed.value.code == "speech.piper_failed" and "model is broken" in failed.value.message


def test_the_package_names_a_broken_voice(say: Say, package: Path) -> None:
    package.write_bytes(b"broken")
    with pytest.raises(AvatarError) as failed:
        say()
    assert failed.value.code == "speech.piper_failed"


def test_marks_give_their_time_to_the_phones_beside_them() -> None:
    chunk = [("^", 100), ("h", 200), ("ə", 100), ("l", 100), ("ˈ", 50), ("o", 150), ("ː", 50), (" ", 50),
             ("w", 100), (",", 100), (" ", 100), ("a", 100), ("̃", 50), (".", 100), ("$", 50)]  # fmt: skip
    times = times_of([chunk], [list("həlˈo"), ["w"], ["a"]], 1000)
    assert times.phones == (
        ("", 0), ("h", 100), ("ə", 300), ("l", 400), ("oː", 500), ("w", 800), ("", 900), ("", 1000),
        ("ã", 1100), ("", 1250), ("", 1350),
    )  # fmt: skip
    assert times.words == (100, 800, 1100)


def test_words_that_run_together_are_found_or_left_open() -> None:
    chunk = [(symbol, 100) for symbol in "^ðəv ʌvðə men$"]
    readings = [list("ðiː"), [], list("ʌv"), list("ðə"), list("men")]
    assert times_of([chunk], readings, 1000).words == (100, None, 500, 700, 1000)
