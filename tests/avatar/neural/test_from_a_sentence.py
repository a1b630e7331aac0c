"""One command from a sentence to an MP4 through both engines: the real control side, its queue and its worker
process, with checkpoints of small random networks read from disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_faces_guide
import numpy as np
import pytest
from avatar.compose.footage import footage

# Computes for a minute on two cores that nobody else uses: these limits end what hangs, not what is slow.
COMMAND_LIMIT_S, TEST_LIMIT_S = 800, 900
pytestmark = [pytest.mark.torch, pytest.mark.smoke, pytest.mark.timeout(TEST_LIMIT_S)]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CONTROL = ROOT / ".venv" / "bin"
CHAIN = "liveportrait+latentsync"


@dataclass(frozen=True)
class Installation:
    """A folder with state, personas and results of its own; `consent` is on record there."""

    folder: Path
    environment: dict[str, str]
    consent: dict[str, str]

    def soundstage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(CONTROL / "soundstage"), *arguments],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=COMMAND_LIMIT_S,
            check=False,
        )  # fmt: skip


@pytest.fixture
def installation(tmp_path: Path, checkpoints: Path) -> Installation:
    if not (CONTROL / "soundstage").exists():
        pytest.skip("needs the control side beside it: scripts/setup test")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SOUNDSTAGE_")},
        "PYTHONPATH": str(ROOT),
        "SOUNDSTAGE_STATE_DIR": str(tmp_path / "state"),
        "SOUNDSTAGE_OUT_DIR": str(tmp_path / "out"),
        "SOUNDSTAGE_PERSONAS_DIR": str(tmp_path / "personas"),
        "SOUNDSTAGE_WORKER__COMMAND": f"{sys.executable},{HERE / 'small_checkpoints.py'}",
        "SOUNDSTAGE_WORKER__MODELS_FOLDER": str(checkpoints),
    }
    (tmp_path / "personas").mkdir()
    recorded = subprocess.run(
        [str(CONTROL / "python"), str(HERE / "record_consent.py")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert recorded.returncode == 0, recorded.stderr
    agreed = {"person": "A. Person", "granted_at": "2026-01-31", "purpose": "tests"}
    return Installation(tmp_path, environment, {"id": recorded.stdout.split()[-1], **agreed})


def probe_streams(path: Path) -> dict[str, Any]:
    """Returns the streams by kind, from ffprobe, or from PyAV where there is no ffprobe."""
    if shutil.which("ffprobe"):
        process = subprocess.run(
            ["ffprobe", "-v", "error", "-print_format", "json", "-show_streams", str(path)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        streams = json.loads(process.stdout)["streams"]
        return {
            one["codec_type"]: (one["codec_name"], one.get("width"), int(one["nb_frames"])) for one in streams
        }
    import av

    with av.open(str(path)) as container:
        return {
            one.type: (one.codec_context.name, getattr(one, "width", None), one.frames)
            for one in container.streams
        }


def frames_of(path: Path, count: int) -> np.ndarray[Any, Any]:
    pictures = footage(path, 25, loop=False, shown=path.name)
    return np.stack([next(pictures) for _ in range(count)]).astype(int)


def guide_commands(folder: Path, photo: Path, **changes: Any) -> list[str]:
    """The guide's spec, with changes to scene or canvas, and its photo in `folder`; the guide's line."""
    spec = gpu_faces_guide.spec()
    canvas = changes.pop("canvas", None)
    spec["scenes"][0] |= changes
    (folder / "hello.json").write_text(json.dumps(spec if canvas is None else {**spec, "canvas": canvas}))
    shutil.copy(photo, folder / spec["scenes"][0]["face"]["image"]["path"])
    return gpu_faces_guide.line_of("soundstage render")


def test_soundstage_render_makes_a_photo_say_a_sentence_by_both_engines(
    installation: Installation, photo: Path
) -> None:
    small = {"width": 320, "height": 180, "fps": 25}
    short = {"script": "Hello there.", "lead_in_ms": 80, "tail_ms": 120}
    line = guide_commands(installation.folder, photo, canvas=small, **short)
    done = installation.soundstage(*line, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (video,) = (installation.folder / "out").glob("*.mp4")
    streams = probe_streams(video)
    codec, width, frames = streams["video"]
    assert (codec, width) == ("h264", 320) and frames > 15
    assert streams["audio"][0] == "aac"
    pictures = frames_of(video, frames)
    blue, _, red = pictures[10, 40:110, 120:200].mean(axis=(0, 1))
    assert red - blue < 25, "random networks draw no skin, where the photo shows a face"
    changed = np.abs(pictures[4] - pictures[-8])
    assert changed[40:150, 90:230].max() > 6, "the face moves"
    assert changed[:, :40].mean() < 1, "and what is far from it does not"
    record = json.loads(video.with_suffix(".provenance.json").read_text())
    assert {"liveportrait", "latentsync", "flite"} <= {one["name"] for one in record["engines"]}
    (agreed,) = record["consents"]
    assert (agreed["person"], agreed["purpose"]) == (line[3], line[5])
    assert agreed["id"] != installation.consent["id"], "one that was recorded for this line"


@pytest.mark.slow
def test_the_guides_own_spec_makes_its_video(installation: Installation, photo: Path) -> None:
    done = installation.soundstage(*guide_commands(installation.folder, photo))
    assert done.returncode == 0, done.stdout + done.stderr
    (video,) = (installation.folder / "out").glob("*.mp4")
    codec, width, frames = probe_streams(video)["video"]
    assert (codec, width) == ("h264", 1920) and frames > 25
    record = json.loads(video.with_suffix(".provenance.json").read_text())
    licences = {one["name"]: one["licence"] for one in record["engines"]}
    assert "MIT" in licences["liveportrait"] and "OpenRAIL++-M" in licences["latentsync"]


@pytest.mark.slow
def test_soundstage_ask_does_the_same_for_a_persona_that_names_the_engine(
    installation: Installation, photo: Path, spec_of: Callable[..., dict[str, Any]]
) -> None:
    spec = spec_of("photo", "mesh", "Mama.")
    spec["scenes"][0]["face"]["consent"] = installation.consent
    (installation.folder / "spec.json").write_text(json.dumps(spec))
    assert installation.soundstage("render", "spec.json").returncode == 0, "brings the photo in"
    face = {
        "kind": "photo",
        "engine": CHAIN,
        "image": {"sha256": f"sha256:{hashlib.sha256(photo.read_bytes()).hexdigest()}"},
        "consent": installation.consent,
    }
    persona = {"id": "ada", "name": "Ada", "face": face}
    (installation.folder / "personas" / "ada.yaml").write_text(json.dumps(persona))
    done = installation.soundstage("ask", "Make a video where Ada says: Mama.")
    assert done.returncode == 0, done.stdout + done.stderr
    (video,) = (installation.folder / "out").glob("mama-*.mp4")
    assert probe_streams(video)["video"][:2] == ("h264", 1920)
    record = json.loads(video.with_suffix(".provenance.json").read_text())
    assert {"liveportrait", "latentsync"} <= {one["name"] for one in record["engines"]}
