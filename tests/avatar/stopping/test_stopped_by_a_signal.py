"""Processes that are told to stop while networks draw: nothing half done is left, the next run goes on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "latentsync")]

from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.lipsync.latentsync import MouthOptions, lipsync_by_networks  # noqa: E402
from avatar.pipeline.reenact.video import ReenactJob, ReenactOptions, reenact  # noqa: E402
from avatar.spec import Captions, Consent, LipsyncSpec, MediaRef, Output, VideoFace  # noqa: E402
from clipmaker import Motion, make_clip  # noqa: E402
from small_worker import small_latentsync, small_liveportrait  # noqa: E402
from synthetic_speaker import Clips  # noqa: E402

AGREED = Consent(id="c1", person="A drawing", granted_at="2026-01-01", purpose="test")
STEP_S = 0.4


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As the stopped process: results are compared to the bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Lipsync:
    def __init__(self, folder: Path) -> None:
        clips = Clips(folder)
        self.video, self.sound = clips.video(32), clips.sound(1.28)
        self.consent = folder / "consent.json"
        self.consent.write_text(AGREED.model_dump_json())

    def arguments(self, out: Path) -> list[str]:
        return [
            "lipsync",
            "--consent",
            str(self.consent),
            "--video",
            str(self.video),
            "--audio",
            str(self.sound),
            "--out",
            str(out),
        ]

    def run(self, out: Path, context: Context, *, fresh: bool = False) -> None:
        face = VideoFace(video=MediaRef(path=str(self.video), name="in.mp4"), consent=AGREED)
        audio = MediaRef(path=str(self.sound), name="speech.wav")
        spec = LipsyncSpec(face=face, audio=audio, output=Output(captions=Captions(mode="none")))
        lipsync_by_networks(spec, out, context, MouthOptions(fresh=fresh), small_latentsync)


class Reenact:
    def __init__(self, folder: Path) -> None:
        import cv2
        from skimage import data

        self.source, self.driving = folder / "face.png", folder / "drive.mp4"
        cv2.imwrite(str(self.source), data.astronaut()[..., ::-1])
        make_clip(self.driving, "grace_hopper", seconds=0.24, motion=Motion(yaw_deg=8, mouth_e=0.1))
        self.consent = folder / "consent.json"
        self.consent.write_text(AGREED.model_dump_json())

    def arguments(self, out: Path) -> list[str]:
        return [
            "reenact",
            "--consent",
            str(self.consent),
            "--source",
            str(self.source),
            "--driving",
            str(self.driving),
            "--out",
            str(out),
        ]

    def run(self, out: Path, context: Context, *, fresh: bool = False) -> None:
        options = ReenactOptions(fresh=fresh)
        job = ReenactJob(source=self.source, driving=self.driving, consent=AGREED, options=options)
        reenact(job, out, context, small_liveportrait)


def parts_in(cache: Path) -> list[Path]:
    return sorted((cache / "unfinished").glob("*.part"))


def stop_by_signal(number: int, arguments: list[str], cache: Path, parts: int) -> tuple[int, str]:
    """Exit code and output of a worker that gets the signal in the middle of what follows `parts` parts."""
    command = [sys.executable, str(HERE / "small_worker.py"), *arguments, "--cache", str(cache), "--json"]
    environment = os.environ | {"SMALL_WORKER_STEP_S": str(STEP_S)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 120
    while len(parts_in(cache)) < parts:
        assert process.poll() is None, "it ended before it was stopped"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(STEP_S / 4)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def frames_of(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    return [hashlib.sha256(frame).hexdigest() for frame in frames]


@pytest.mark.parametrize("kind", [Lipsync, Reenact])
def test_a_stopped_run_leaves_nothing_half_done_and_the_next_ends_as_if_nothing_had_happened(
    tmp_path: Path, kind: Any
) -> None:
    cache, result_folder, output = tmp_path / "cache", tmp_path / "made", list[Any]()
    result_folder.mkdir()
    job = kind(tmp_path)
    code, last_words = stop_by_signal(signal.SIGTERM, job.arguments(result_folder / "out.mp4"), cache, 2)
    assert code == 128 + signal.SIGTERM
    assert json.loads(last_words.splitlines()[-1])["code"] == "render.cancelled"
    assert list(result_folder.iterdir()) == []
    finished = len(parts_in(cache))
    assert 2 <= finished <= 3

    job.run(tmp_path / "whole.mp4", Context(cache=cache, tell=output.append), fresh=True)
    assert len(parts_in(cache)) == finished
    job.run(result_folder / "out.mp4", Context(cache=cache, tell=output.append))
    resumed = [line.message for line in output if getattr(line, "code", "") == "render.resumed"]
    assert resumed == [f"Parts of the pictures that a stopped run had finished are used: {finished}."]
    assert frames_of(result_folder / "out.mp4") == frames_of(tmp_path / "whole.mp4")
    assert parts_in(cache) == [], "a finished job needs them no more"


@pytest.mark.slow
def test_a_killed_run_is_gone_on_with_and_a_damaged_part_is_made_again(tmp_path: Path) -> None:
    cache, output = tmp_path / "cache", list[Any]()
    job = Lipsync(tmp_path)
    code, _ = stop_by_signal(signal.SIGKILL, job.arguments(tmp_path / "out.mp4"), cache, 2)
    assert code == -signal.SIGKILL
    first = parts_in(cache)[0]
    first.write_bytes(first.read_bytes()[:-100])
    job.run(tmp_path / "out.mp4", Context(cache=cache, tell=output.append))
    assert [line.message[-2:] for line in output if getattr(line, "code", "") == "render.resumed"] == ["1."]
    assert len(frames_of(tmp_path / "out.mp4")) == 32
