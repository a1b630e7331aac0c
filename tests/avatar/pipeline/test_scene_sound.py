"""A video overlay is heard while it is seen, from word to word; a mute one leaves the voice as it is."""

from __future__ import annotations

import json
import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avatar.pipeline.context import Context
from avatar.pipeline.segment import make_segment
from avatar.spec import RenderSpec

TONE_HZ = 3000


@pytest.fixture(scope="module")
def beep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of a test picture with a tone."""
    path = tmp_path_factory.mktemp("clip") / "beep.mp4"
    inputs = ["-f", "lavfi", "-i", "testsrc=d=4:s=64x48:r=25", "-f", "lavfi", "-i", f"sine={TONE_HZ}:d=4"]
    subprocess.run(["ffmpeg", "-v", "error", *inputs, "-c:a", "aac", str(path)], check=True)
    return path


def spec_with(beep: Path, small_spec: Any, **overlay: Any) -> RenderSpec:
    shown = {
        "kind": "video", "video": {"path": str(beep)}, "fade_ms": 0,
        "box": {"x": 0.6, "y": 0.1, "width": 0.3, "height": 0.3},
        "start": {"at": "word", "word": "Nova"}, "end": {"at": "word", "word": "test", "edge": "end"},
        **overlay,
    }  # fmt: skip
    return RenderSpec.model_validate(small_spec({"id": "a", "overlays": [shown], "tail_ms": 1500}))


def tone_level(wav: Path, begin_ms: float, end_ms: float) -> float:
    with wave.open(str(wav)) as source:
        rate = source.getframerate()
        sound = np.frombuffer(source.readframes(source.getnframes()), "<i2") / 32768
    part = sound[round(begin_ms * rate / 1000) : round(end_ms * rate / 1000)]
    turn = np.exp(-2j * np.pi * TONE_HZ * np.arange(len(part)) / rate)
    return float(2 * abs(np.mean(part * turn)))


def length_ms(wav: Path) -> float:
    with wave.open(str(wav)) as source:
        return source.getnframes() * 1000 / source.getframerate()


def test_it_is_heard_from_word_to_word_and_the_scene_stays_as_long(beep, small_spec, tmp_path):
    segment = make_segment(
        spec_with(beep, small_spec), "a", tmp_path / "a", Context(cache=tmp_path / "cache")
    )
    words = {word["text"]: word for word in json.loads(segment.words.read_text())["words"]}
    begin, end = words["Nova."]["start_ms"], words["test."]["end_ms"]
    level = tone_level(segment.sound, begin + 100, end - 100)
    assert level == pytest.approx(10 ** (-12 / 20) / 8, rel=0.15), "ffmpeg's tone has an amplitude of 1/8"
    assert tone_level(segment.sound, 0, begin - 50) < level / 20
    assert tone_level(segment.sound, end + 100, end + 1200) < level / 20
    assert length_ms(segment.sound) == segment.record.duration_ms
    assert [path.name for path in sorted(segment.folder.iterdir())] == [
        "audio.wav",
        "segment.mp4",
        "words.json",
    ]


def test_a_mute_one_leaves_the_voice_as_it_is(beep, small_spec, tmp_path):
    context = Context(cache=tmp_path / "cache")
    mute = make_segment(spec_with(beep, small_spec, gain_db=None), "a", tmp_path / "mute", context)
    plain = RenderSpec.model_validate(small_spec({"id": "a", "tail_ms": 1500}))
    assert mute.sound.read_bytes() == make_segment(plain, "a", tmp_path / "plain", context).sound.read_bytes()


def test_a_sound_that_breaks_off_is_told_and_the_rest_is_silent(beep, small_spec, tmp_path):
    data = bytearray(beep.read_bytes())
    start = data.index(b"mdat") + 4
    for at in range(start + (len(data) - start) // 4, len(data) - 12_000):
        data[at] = 0x55
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    segment = make_segment(
        spec_with(broken, small_spec), "a", tmp_path / "a", Context(cache=tmp_path / "cache")
    )
    assert length_ms(segment.sound) == segment.record.duration_ms
    assert "overlay.sound_damaged" in [notice.code for notice in segment.record.warnings]
