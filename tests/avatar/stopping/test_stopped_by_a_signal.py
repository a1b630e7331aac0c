"""Real processes that are told to stop while networks draw: a clean end, nothing half done, and going on later."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "latentsync")]

from clipmaker import Motion, make_clip  # noqa: E402
from synthetic_speaker import Clips  # noqa: E402

AGREED = {"id": "c1", "person": "A drawing", "granted_at": "2026-01-01", "purpose": "test"}
SLOW_S = 0.5


def start(folder: Path, *arguments: str, step_s: float = 0.0) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        str(HERE / "small_worker.py"),
        *arguments,
        "--cache",
        str(folder / "cache"),
        "--json",
    ]
    environment = os.environ | {"SMALL_WORKER_STEP_S": str(step_s)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def run(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    process = start(folder, *arguments)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 0, told
    return [json.loads(line) for line in told.splitlines()]


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "unfinished").glob("*.part"))


def stop(folder: Path, number: int, parts: int, *arguments: str) -> tuple[int, str]:
    """Its exit code and last words, told to stop in the middle of what follows the first `parts`."""
    process = start(folder, *arguments, step_s=SLOW_S)
    deadline = time.monotonic() + 120
    while len(kept(folder)) < parts:
        assert process.poll() is None and time.monotonic() < deadline, "it ended before it was stopped"
        time.sleep(0.02)
    time.sleep(SLOW_S / 3)
    process.send_signal(number)
    told, _ = process.communicate(timeout=60)
    return process.returncode, told


def frames_of(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [
            hashlib.sha256(frame.to_ndarray(format="yuv420p")).hexdigest()
            for frame in container.decode(video=0)
        ]


def lipsync(tmp_path: Path, out: str) -> list[str]:
    clips = Clips(tmp_path)
    video = tmp_path / "in.mp4"
    if not video.exists():
        clips.video(32)
        clips.sound(1.28)
        (tmp_path / "in.consent.json").write_text(json.dumps(AGREED))
    consent = str(tmp_path / "in.consent.json")
    sound = str(tmp_path / "speech.wav")
    return [
        "lipsync",
        "--video",
        str(video),
        "--audio",
        sound,
        "--out",
        str(tmp_path / out),
        "--consent",
        consent,
    ]


def reenact(tmp_path: Path, out: str) -> list[str]:
    import cv2
    from skimage import data

    source = tmp_path / "face.png"
    if not source.exists():
        cv2.imwrite(str(source), data.astronaut()[..., ::-1])
        make_clip(tmp_path / "drive.mp4", "grace_hopper", seconds=0.4, motion=Motion(yaw_deg=8, mouth_e=0.1))
        (tmp_path / "in.consent.json").write_text(json.dumps(AGREED))
    consent = str(tmp_path / "in.consent.json")
    driving = str(tmp_path / "drive.mp4")
    return [
        "reenact",
        "--source",
        str(source),
        "--driving",
        driving,
        "--out",
        str(tmp_path / out),
        "--consent",
        consent,
    ]


@pytest.mark.parametrize("verb", [lipsync, reenact], ids=["lipsync", "reenact"])
def test_a_stopped_run_leaves_nothing_half_done_and_the_next_goes_on_and_ends_alike(
    tmp_path: Path, verb: Any
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    arguments = verb(tmp_path, "whole/out.mp4")
    run(tmp_path, *arguments, "--fresh")
    assert not kept(tmp_path), "a run that keeps nothing leaves nothing"

    made = tmp_path / "made"
    made.mkdir()
    arguments = verb(tmp_path, "made/out.mp4")
    code, told = stop(tmp_path, signal.SIGTERM, 2, *arguments)
    assert code == 128 + signal.SIGTERM
    assert json.loads(told.splitlines()[-1])["code"] == "render.cancelled"
    assert list(made.iterdir()) == []
    finished = len(kept(tmp_path))
    assert 2 <= finished <= 3

    said = run(tmp_path, *arguments)
    resumed = next(line for line in said if line.get("code") == "render.resumed")
    assert resumed["message"].endswith(f": {finished}.")
    assert frames_of(made / "out.mp4") == frames_of(whole / "out.mp4")
    assert kept(tmp_path) == [], "a finished job needs them no more"


def test_a_killed_run_is_gone_on_with_and_a_damaged_part_is_made_again(tmp_path: Path) -> None:
    arguments = lipsync(tmp_path, "out.mp4")
    code, _ = stop(tmp_path, signal.SIGKILL, 2, *arguments)
    assert code == -signal.SIGKILL
    first = kept(tmp_path)[0]
    first.write_bytes(first.read_bytes()[:-100])
    said = run(tmp_path, *arguments)
    resumed = next(line for line in said if line.get("code") == "render.resumed")
    assert resumed["message"].endswith(": 1.")
    assert len(frames_of(tmp_path / "out.mp4")) == 32
