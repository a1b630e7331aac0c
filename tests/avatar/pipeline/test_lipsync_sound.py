"""The sound of a lip-synced video: at the rate of the recording, or a multiple of it."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from avatar.pipeline.context import Context
from avatar.pipeline.lipsync.video import render_spec
from avatar.spec import AudioCodec, LipsyncSpec, MediaRef, Output, VideoFace


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(3):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24"))
            )
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("rate_hz", "expected_hz"), [(11_025, 48_000), (22_050, 44_100), (44_100, 44_100), (48_000, 48_000),
                             (16_000, 48_000), (24_000, 48_000), (96_000, 48_000)]
)  # fmt: skip
def test_a_recording_keeps_its_rate_or_a_multiple_of_it(
    video: Path, tmp_path: Path, rate_hz: int, expected_hz: int
) -> None:
    sound = tmp_path / "speech.wav"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(bytes(rate_hz // 5))
    face, audio = VideoFace(video=MediaRef(path=str(video))), MediaRef(path=str(sound))
    context = Context(cache=tmp_path / "cache")
    spec = render_spec(LipsyncSpec(face=face, audio=audio), context)
    assert spec.output.audio == AudioCodec(sample_rate_hz=expected_hz)
    named = Output(audio=AudioCodec(sample_rate_hz=48_000))
    assert render_spec(LipsyncSpec(face=face, audio=audio, output=named), context).output == named
