"""Long texts and long recordings: every word accounted for, memory flat."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from avatar.spec import MediaRef, Scene
from avatar.speech import speak

SENTENCE = "Many birds sing above the old river, and 12 brave people *listen* every morning. "

# Run in a process of its own: peak memory never falls.
PROGRAM = """
    import resource, sys
    from pathlib import Path
    from avatar.spec import Scene
    from avatar.speech import speak
    track = speak(Scene(id="s", script=sys.argv[1] * int(sys.argv[2])), Path(sys.argv[3]), lambda ref: Path())
    assert len(track.words) == 14 * int(sys.argv[2]), len(track.words)
    print(track.duration_ms, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def speak_in_another_process(times: int, folder: Path) -> tuple[float, float]:
    """Minutes of speech and peak MiB of the process that asked for it."""
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), SENTENCE, str(times), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    duration_ms, kibibytes = map(int, answer.stdout.split())
    return duration_ms / 60_000, kibibytes / 1024


def test_ten_minutes_of_script_take_hardly_more_memory_than_one(tmp_path: Path) -> None:
    (one_minutes, one), (ten_minutes, ten) = (
        speak_in_another_process(times, tmp_path / str(times)) for times in (12, 130)
    )
    assert one_minutes < 1.3 < 9 < ten_minutes
    assert ten - one < 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_speech_leaves_no_child_behind(tmp_path: Path, number: signal.Signals) -> None:
    # Both are set: a shell that started the tests in the background has SIGINT ignored for all its children.
    listen = "".join(
        f"signal.signal(signal.{name}, signal.default_int_handler)\n" for name in ("SIGINT", "SIGTERM")
    )
    program = "import signal\n" + listen + textwrap.dedent(PROGRAM)
    speaking = subprocess.Popen(
        [sys.executable, "-c", program, SENTENCE, "1200", str(tmp_path)], stderr=subprocess.DEVNULL
    )
    children = Path(f"/proc/{speaking.pid}/task/{speaking.pid}/children")
    while not (child := children.read_text().split()) or not [*tmp_path.rglob("*.wav")]:
        assert speaking.poll() is None
        time.sleep(0.01)
    speaking.send_signal(number)
    assert speaking.wait(timeout=60) != 0
    assert not Path(f"/proc/{child[0]}").exists()


@pytest.mark.slow
def test_a_hundred_thousand_characters_are_spoken_to_the_last_word(tmp_path: Path) -> None:
    (_, one) = speak_in_another_process(12, tmp_path / "one")
    (minutes, all_of_it) = speak_in_another_process(100_000 // len(SENTENCE), tmp_path / "all")
    assert minutes > 60
    assert all_of_it - one < 60


@pytest.mark.slow
def test_a_quarter_of_an_hour_is_aligned_to_the_last_word(tmp_path: Path) -> None:
    text = SENTENCE.replace("*", "") * 160
    truth = speak(Scene(id="s", script=text), tmp_path / "true", lambda ref: Path())
    assert truth.duration_ms > 12 * 60_000
    audio = MediaRef(path=str(truth.wav))
    scene = Scene(id="s", script=text, audio=audio, lead_in_ms=0, tail_ms=0)
    track = speak(scene, tmp_path / "found", lambda ref: Path(ref.path or ""))
    errors = np.array([a.start_ms - b.start_ms for a, b in zip(track.words, truth.words, strict=True)])
    assert np.median(np.abs(errors)) <= 25
    assert np.abs(errors[-20:]).max() <= 250
