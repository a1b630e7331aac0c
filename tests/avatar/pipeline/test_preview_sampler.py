"""The small pictures that show how a scene looks while it is made."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest
from avatar.compose.colour import Planes
from avatar.pipeline import preview_sampler
from avatar.pipeline.preview_sampler import PreviewSampler, small_jpeg
from avatar.spec import PreviewFrame

RED_709 = (63, 102, 240)
"""Y, Cb, Cr of pure red in limited-range BT.709."""


def red(width: int, height: int) -> Planes:
    planes = Planes(width, height)
    for plane, value in zip((planes.y, planes.cb, planes.cr), RED_709, strict=True):
        plane[:] = value
    return planes


@pytest.mark.parametrize(
    ("size", "expected"), [((1920, 1080), (320, 180)), ((1080, 1920), (180, 320)), ((64, 64), (64, 64))]
)
def test_a_picture_is_small_and_has_the_colours_of_the_video(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    picture = cv2.imdecode(np.frombuffer(small_jpeg(red(*size)), np.uint8), cv2.IMREAD_COLOR)
    assert (picture.shape[1], picture.shape[0]) == expected
    assert np.abs(picture.mean(axis=(0, 1)) - (0, 0, 255)).max() < 6


def test_the_first_frame_is_shown_and_then_one_every_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(preview_sampler.time, "monotonic", lambda: now[0])
    frames: list[PreviewFrame] = []
    previews = PreviewSampler(frames.append, "one")
    planes = red(64, 64)
    for _ in range(20):
        previews.add(planes)
        now[0] += 0.25
    assert [line.frame for line in frames] == [0, 8, 16]
    assert frames[0].scene == "one" and base64.b64decode(frames[0].jpeg).startswith(b"\xff\xd8\xff")
