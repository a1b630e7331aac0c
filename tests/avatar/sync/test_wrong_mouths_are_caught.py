"""The same checks go red when a real engine is driven wrongly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from avatar.judge.video_measures import SyncReport, judge_sync, watch
from avatar.spec import Face
from avatar.tracks import ControlTrack, Phone
from backgrounds import background_ssim
from rendering import render, with_mouth
from video_limits import sync_failures

Spoken = tuple[ControlTrack, tuple[Phone, ...]]
Judge = Callable[[Callable[[str, np.ndarray], np.ndarray]], SyncReport]


@pytest.fixture(params=["nova", pytest.param("grace_hopper", marks=pytest.mark.slow)])
def with_track(
    request: pytest.FixtureRequest,
    faces: dict[str, Face],
    speech_and_track: Spoken,
    tmp_path: Path,
    engine_cache: Path,
) -> Judge:
    """Render with altered mouth curves, judge against the right ones."""

    def judge(change: Callable[[str, np.ndarray], np.ndarray]) -> SyncReport:
        control, phones = speech_and_track
        video = tmp_path / "wrong.mp4"
        render(faces[request.param], with_mouth(control, change), (640, 360), video, engine_cache)
        return judge_sync(watch(video), control, phones, background_ssim=background_ssim(video))

    return judge


def failures_of(report: SyncReport) -> set[str]:
    return {line.split()[0] for line in sync_failures(report)}


def test_a_mouth_200_ms_late_is_caught(with_track: Judge) -> None:
    report = with_track(lambda _, curve: np.roll(curve, 5))
    assert {"aperture_r", "lag_ms"} <= failures_of(report)
    assert report.lag_ms == pytest.approx(200, abs=20)


def test_half_the_opening_is_caught(with_track: Judge) -> None:
    assert "gain" in failures_of(with_track(lambda _, curve: 0.5 * curve))


def test_lips_that_never_close_are_caught(with_track: Judge) -> None:
    open_jaw = {"jaw": lambda curve: np.maximum(curve, 0.2), "press": np.zeros_like}
    report = with_track(lambda name, curve: open_jaw.get(name, np.copy)(curve))
    assert {"bilabials_closed"} <= failures_of(report)


def test_a_mouth_driven_by_loudness_alone_is_caught(with_track: Judge, speech_and_track: Spoken) -> None:
    energy = speech_and_track[0]["energy"]
    report = with_track(lambda name, curve: energy if name == "jaw" else 0 * curve)
    assert {"aperture_r", "bilabials_closed", "width_r"} <= failures_of(report)


def test_shuffled_frames_are_caught(with_track: Judge) -> None:
    report = with_track(lambda _, curve: np.random.default_rng(9).permutation(curve))
    assert {"aperture_r", "gain", "width_r"} <= failures_of(report)
