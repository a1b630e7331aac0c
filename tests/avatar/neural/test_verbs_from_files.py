"""`avatar lipsync` and `avatar reenact` as people call them, from files to MP4, on the processor and on a
card: checkpoints are read from disk, the face is found, and the video can be played.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from avatar.cli.main import main

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from tiny_checkpoints import as_if_published, write_tiny  # noqa: E402

AGREED = {"id": "c1", "person": "A. Person", "granted_at": "2026-01-31", "purpose": "tests"}
SECONDS, FRAMES = 0.24, 6
FAST = ("--side", "256", "--steps", "1", "--guidance", "1")
MODES = ("low", "middle", "full", "large")
Verb = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def verb(
    tiny: Path,
    device: str,
    clip: Path,
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Verb:
    """Calls one on those checkpoints; the line it ends with."""
    as_if_published(monkeypatch)
    for person in (clip, photo):
        person.with_name(f"{person.name}.consent.json").write_text(json.dumps(AGREED))

    def run(*arguments: object) -> dict[str, Any]:
        words = [str(one) for one in arguments]
        status = main([*words, "--models", str(tiny), f"--cache={tmp_path / 'cache'}", "--json"])
        line: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert status == 0, line
        return line

    return run


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    at = np.arange(int(SECONDS * 16_000)) / 16_000
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((9000 * np.sin(2 * np.pi * 170 * at)).astype(np.int16).tobytes())
    return path


def frames_of(path: Path) -> np.ndarray[Any, Any]:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]).astype(int)


def test_lipsync_makes_the_same_video_in_the_low_mode_and_says_in_which(
    verb: Verb, device: str, clip: Path, sound: Path, tmp_path: Path
) -> None:
    """Before they are encoded frames differ by a level at most (`test_modes_and_numbers.py`); the encoder
    makes more of that here and there.
    """
    frames = {}
    for vram in ("auto", "low"):
        out = tmp_path / f"{vram}.mp4"
        line = verb("lipsync", "--video", clip, "--audio", sound, "--out", out, "--vram", vram, *FAST)
        assert (line["event"], line["frames"]) == ("result", FRAMES)
        [use] = line["engines"]
        assert use["engine"] == "latentsync"
        assert (
            use["mode"] == "low" if vram == "low" else use["mode"] in (MODES if device == "cuda" else ("",))
        )
        frames[vram] = frames_of(out)
        assert len(frames[vram]) == FRAMES
        with av.open(str(out)) as container:
            assert container.streams.audio[0].rate >= 16_000
    between = np.abs(frames["auto"] - frames["low"])
    print(f"auto and low on {device}: {between.max()} levels at most, {between.mean():.4f} on average")
    assert between.mean() < 0.2
    filmed = frames_of(clip)[:FRAMES]
    assert filmed.shape == frames["auto"].shape
    assert np.abs(frames["auto"] - filmed).max() > 40, "another mouth"


@pytest.mark.parametrize("source", ["photo", "clip"])
def test_reenact_moves_a_photo_and_a_video(
    verb: Verb, device: str, request: pytest.FixtureRequest, clip: Path, tmp_path: Path, source: str
) -> None:
    person, out = request.getfixturevalue(source), tmp_path / "out.mp4"
    line = verb("reenact", "--source", person, "--driving", driving(tmp_path), "--out", out)
    assert (line["event"], line["frames"]) == ("result", FRAMES)
    [use] = line["engines"]
    assert (use["engine"], use["mode"]) == ("liveportrait", "full" if device == "cuda" else "")
    frames = frames_of(out)
    assert len(frames) == FRAMES
    assert np.abs(frames[0] - frames[-1]).max() > 8, "the face moves"


def driving(folder: Path) -> Path:
    """A motion template of a face that opens its mouth and turns a little."""
    from avatar.engines.liveportrait.template import MotionTemplate, save_template

    rows = {
        name: np.zeros((FRAMES, *shape)) for name, shape in (("kp", (21, 3)), ("exp", (21, 3)), ("t", (3,)))
    }
    rows["exp"] += 0.02 * np.arange(FRAMES)[:, None, None]
    rows |= {"rotation": np.tile(np.eye(3), (FRAMES, 1, 1)), "scale": np.ones(FRAMES)}
    rows |= {"eyes": np.full((FRAMES, 2), 0.3), "lips": np.linspace(0.0, 0.3, FRAMES)}
    as_stored = {name: values.astype(np.float32) for name, values in rows.items()}
    save_template(MotionTemplate(25.0, as_stored), folder / "motion.npz")
    return folder / "motion.npz"
