"""The guide's lines as an operator gives them, each in a process of its own: checkpoints in a folder that
AVATAR_MODELS names, the real opener, nothing patched but sizes (`small_checkpoints.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from gpu_faces_guide import line_of

pytestmark = pytest.mark.torch

HERE = Path(__file__).parent
FRAMES, DRIVING_FRAMES = 9, 5
SPEECH_HZ = 22_050
SOURCE_HZ = 44_100
"""What a sound at 22 050 Hz is encoded at, beside what networks hear at 16 000."""

Avatar = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def operator(tmp_path: Path, photo: Path) -> Path:
    """A folder with what the lines name, and an earlier result of each."""
    from clipmaker import Motion, make_clip

    motion = Motion(yaw_deg=6, pitch_deg=2, roll_deg=2, mouth_e=0.08)
    for name, frames in (("in.mp4", FRAMES), ("drive.mp4", DRIVING_FRAMES)):
        make_clip(tmp_path / name, "astronaut", seconds=frames / 25, motion=motion)
    (tmp_path / "face.png").write_bytes(photo.read_bytes())
    seconds = np.arange(SPEECH_HZ * FRAMES // 25) / SPEECH_HZ
    tone = 8000 * np.sin(2 * np.pi * 180 * seconds) * np.sin(40 * seconds)
    with wave.open(str(tmp_path / "speech.wav"), "wb") as file:
        file.setparams((1, 2, SPEECH_HZ, 0, "NONE", ""))
        file.writeframes(tone.astype("<i2").tobytes())
    for name in ("out.mp4", "face.reenacted.mp4"):
        (tmp_path / name).write_bytes(b"an earlier result")
    return tmp_path


@pytest.fixture
def avatar(operator: Path, checkpoints: Path) -> Avatar:
    def run(*line: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "AVATAR_MODELS": str(checkpoints),
            "XDG_CACHE_HOME": str(operator / "cache"),
        }
        return subprocess.run(
            [sys.executable, str(HERE / "small_checkpoints.py"), *line],
            cwd=operator, env=environment, capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip

    return run


def streams_of(path: Path) -> tuple[tuple[str, int, int], tuple[str, int]]:
    """Codec, frames and rate of the pictures; codec and rate of the sound."""
    with av.open(str(path)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert video.average_rate is not None
        frames = sum(1 for _ in container.decode(video=0))
        return (video.codec_context.name, frames, round(video.average_rate)), (
            sound.codec_context.name,
            sound.rate,
        )


def test_the_line_of_a_lip_sync_from_files_to_a_file(avatar: Avatar, operator: Path) -> None:
    line = line_of("avatar lipsync")
    assert " ".join(line[1:]) == (
        "--video in.mp4 --audio speech.wav --out out.mp4 --vram low --steps 20 --guidance 1.5"
    )
    refused = avatar(*line)
    assert refused.returncode == 1 and "consent.required" in refused.stderr, "the first time"
    assert (operator / "out.mp4").read_bytes() == b"an earlier result"

    done = avatar(*line, "--person", "Ada Example", "--purpose", "course videos")
    assert done.returncode == 0, done.stderr
    assert streams_of(operator / "out.mp4") == (("h264", FRAMES, 25), ("aac", SOURCE_HZ))
    lines_by_name = dict(
        line.split(None, 1) for line in done.stdout.replace("drawn by", "drawn_by").splitlines()
    )
    assert lines_by_name["video"] == "out.mp4" and lines_by_name["provenance"] == "out.provenance.json"
    assert lines_by_name["drawn_by"].startswith("latentsync")
    assert "OpenRAIL++-M" in lines_by_name["weights"] and "MIT (OpenAI Whisper)" in lines_by_name["weights"]
    record = json.loads((operator / "out.provenance.json").read_text())
    (face,) = (one for one in record["engines"] if one["role"] == "face")
    assert (face["name"], face["version"]) == ("latentsync", "1.6") and "OpenRAIL++-M" in face["licence"]
    assert record["consents"][0]["person"] == "Ada Example"
    consent = json.loads((operator / "in.mp4.consent.json").read_text())
    assert record["consents"][0]["id"] == consent["id"]


def test_the_line_of_a_reenactment_from_files_to_the_next_free_name(avatar: Avatar, operator: Path) -> None:
    line = line_of("avatar reenact")
    assert line == ["reenact", "--source", "face.png", "--driving", "drive.mp4"]
    done = avatar(*line, "--person", "Ada Example", "--purpose", "course videos", "--json")
    assert done.returncode == 0, done.stderr
    assert (operator / "face.reenacted.mp4").read_bytes() == b"an earlier result"
    with av.open(str(operator / "face.reenacted-2.mp4")) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.average_rate) == ("h264", 25)
        assert sum(1 for _ in container.decode(video=0)) == DRIVING_FRAMES
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["event"], result["frames"]) == ("result", DRIVING_FRAMES)
    assert [one["engine"] for one in result["engines"]] == ["liveportrait"]
    record = json.loads((operator / "face.reenacted-2.provenance.json").read_text())
    assert "MIT" in next(one["licence"] for one in record["engines"] if one["name"] == "liveportrait")
    assert json.loads((operator / "face.png.consent.json").read_text())["person"] == "Ada Example"


@pytest.mark.parametrize("verb", ["lipsync", "reenact"])
def test_a_folder_without_the_weights_is_said_with_their_licence_and_page(
    avatar: Avatar, operator: Path, verb: str
) -> None:
    line = [*line_of(f"avatar {verb}"), "--person", "Ada Example", "--purpose", "courses", "--models", "none"]
    refused = avatar(*line)
    assert refused.returncode == 1 and "weights.missing" in refused.stderr
    assert "Licence: " in refused.stderr and "https://huggingface.co/" in refused.stderr
