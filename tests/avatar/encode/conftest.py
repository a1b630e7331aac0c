"""Small segments and sounds to encode and join, and ffprobe to look at the results from outside."""

import json
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from avatar.compose.colour import Planes
from avatar.encode.segment_writer import segment_writer
from avatar.spec import Canvas, VideoCodec

CANVAS = Canvas(width=320, height=180, fps=25)


def moving_bar(index: int, shade: int = 255) -> np.ndarray:
    """A picture that differs from its neighbours: a bright bar that walks to the right over a rough wall."""
    wall = np.random.default_rng(7).integers(30, 90, (CANVAS.height // 4, CANVAS.width // 4, 3), np.uint8)
    picture = cv2.resize(wall, (CANVAS.width, CANVAS.height), interpolation=cv2.INTER_CUBIC)
    left = (index * 4) % (CANVAS.width - 40)
    picture[40:120, left : left + 40] = (0, 120, shade)
    return picture


@pytest.fixture(scope="session", name="moving_bar")
def moving_bar_fixture() -> Callable[..., np.ndarray]:
    return moving_bar


@pytest.fixture(scope="session")
def make_segment() -> Callable[..., Path]:
    def make(path: Path, frames: int, codec: VideoCodec | None = None, shade: int = 255) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with segment_writer(path, CANVAS, codec or VideoCodec()) as writer:
            for index in range(frames):
                writer.write(Planes.of(moving_bar(index, shade)))
        return path

    return make


@pytest.fixture(scope="session")
def make_wav() -> Callable[..., Path]:
    """A voice-like tone: 0.3 s bursts with pauses, so that loudness gating has something to gate."""

    def make(path: Path, seconds: float, peak: float = 0.3, rate: int = 22050, clicks: float = 0) -> Path:
        t = np.arange(round(seconds * rate)) / rate
        bursts = (t % 0.5 < 0.3) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))
        tone = sum(np.sin(2 * np.pi * f * t) / n for n, f in enumerate((180, 420, 1300), start=1))
        samples = peak * bursts * tone / np.abs(tone).max()
        samples[:: rate // 8] += clicks
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(rate)
            out.writeframes((samples * 32767).astype("<i2").tobytes())
        return path

    return make


def ffprobe(path: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "json", *arguments, str(path)], capture_output=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="session", name="ffprobe")
def ffprobe_fixture() -> Callable[..., dict[str, Any]]:
    return ffprobe
