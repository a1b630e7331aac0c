"""The frame loop reports progress often enough to watch and seldom enough to read, and samples previews."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from avatar.compose.colour import Planes
from avatar.pipeline import frame_loop
from avatar.pipeline.frame_loop import FrameMeter, PreviewSampler, small_jpeg
from avatar.spec import FrameProgress, PreviewFrame

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
    monkeypatch.setattr(frame_loop.time, "monotonic", lambda: now[0])
    frames: list[PreviewFrame] = []
    previews = PreviewSampler(frames.append, "one")
    planes = red(64, 64)
    for _ in range(20):
        previews.add(planes)
        now[0] += 0.25
    assert [line.frame for line in frames] == [0, 8, 16]
    assert frames[0].scene == "one" and base64.b64decode(frames[0].jpeg).startswith(b"\xff\xd8\xff")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    class Clock:
        now = 100.0

    monkeypatch.setattr(frame_loop.time, "monotonic", lambda: Clock.now)
    return Clock


def test_it_speaks_four_times_a_second_at_most_and_at_the_last_frame(clock: Any) -> None:
    lines: list[tuple[float, FrameProgress]] = []
    counter = FrameMeter(lambda line: lines.append((clock.now, line)), "a", 1003)
    for _ in range(1003):
        clock.now += 0.01
        counter.count()
    moments = [moment for moment, _ in lines]
    assert 36 <= len(lines) <= 42
    assert all(later - sooner >= 0.25 - 1e-6 for sooner, later in pairwise(moments[:-1]))
    assert lines[-1][1].done_frames == 1003
    assert lines[-1][1].eta_s == 0


def test_speed_and_time_left_follow_from_what_was_done(clock: Any) -> None:
    lines: list[FrameProgress] = []
    counter = FrameMeter(lines.append, None, 200)
    for _ in range(50):
        clock.now += 0.02
        counter.count()
    assert lines[-1].fps == pytest.approx(50, rel=0.02)
    assert lines[-1].eta_s == pytest.approx((200 - lines[-1].done_frames) / 50, abs=0.11)
