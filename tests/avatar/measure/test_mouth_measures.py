"""The judge of how a mouth moves and is drawn: a good one passes, each spoiled one breaks its own limit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from avatar.judge.mouth_measures import (
    MouthReport,
    flicker_hz,
    full_opening_e,
    judge_mouth,
    largest_step,
    near_closures,
)
from avatar.judge.video_measures import frames_of, watch
from avatar.spec import RigFace
from avatar.tracks import ControlTrack, Phone
from rendering import render, say, with_mouth
from video_limits import mouth_failures

SENTENCE = "Two blue shoes, you know. Five very funny foxes laugh at Bob."
Utterance = tuple[ControlTrack, tuple[Phone, ...]]
Judge = Callable[[ControlTrack], MouthReport]


@pytest.fixture(scope="module")
def utterance(tmp_path_factory: pytest.TempPathFactory) -> Utterance:
    return say(SENTENCE, tmp_path_factory.mktemp("voice"), lead_in_ms=200)


def moments_of(track: ControlTrack) -> np.ndarray:
    return (np.arange(track.frames) + 0.5) / track.fps


def test_our_curves_keep_below_a_quarter_of_the_opening_and_turn_for_no_single_frame(
    utterance: Utterance,
) -> None:
    track, phones = utterance
    opening = track.aperture_e()
    closing = near_closures(phones, moments_of(track))
    full = full_opening_e(opening)
    assert np.abs(np.diff(opening))[~closing[1:]].max() < 0.25 * full
    assert flicker_hz(opening, full, closing, track.fps) < 0.4


def test_a_mouth_that_jumps_from_shape_to_shape_snaps(utterance: Utterance) -> None:
    track, phones = utterance
    opening = track.aperture_e()
    held = opening[np.arange(track.frames) // 4 * 4]
    closing = near_closures(phones, moments_of(track))
    assert "snap" in failures(snap=largest_step(held, full_opening_e(held), ~closing))
    assert not failures(snap=largest_step(opening, full_opening_e(opening), ~closing))


def test_a_mouth_that_is_half_shut_every_other_frame_flickers(utterance: Utterance) -> None:
    track, phones = utterance
    opening = track.aperture_e() * np.where(np.arange(track.frames) % 2, 1.0, 0.5)
    closing = near_closures(phones, moments_of(track))
    assert "flicker_hz" in failures(
        flicker_hz=flicker_hz(opening, full_opening_e(opening), closing, track.fps)
    )


@pytest.fixture(scope="module")
def judge(utterance: Utterance, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    folder = tmp_path_factory.mktemp("judged")

    def judge_track(track: ControlTrack) -> MouthReport:
        video: Path = folder / "said.mp4"
        render(RigFace(character="nova"), track, (640, 360), video, folder)
        frames = list(frames_of(video))
        seen = watch(frames)
        return judge_mouth(frames, seen, utterance[1], track.fps)

    return judge_track


def test_a_drawn_mouth_rounds_hides_its_teeth_and_shows_them_for_f(
    utterance: Utterance, judge: Judge
) -> None:
    report = judge(utterance[0])
    assert mouth_failures(report) == [], report
    assert None not in (report.rounded_width, report.rounded_teeth, report.labiodental_teeth)


def test_toothy_vowels_and_an_f_with_shut_lips_are_caught(utterance: Utterance, judge: Judge) -> None:
    track, phones = utterance
    times = 1000 * moments_of(track)
    at_f = np.any(
        [(times > p.start_ms - 80) & (times < p.end_ms + 60) for p in phones if p.ipa in ("f", "v")], axis=0
    )

    def spoil(name: str, curve: np.ndarray) -> np.ndarray:
        if name == "wide":
            return np.maximum(curve, 0.3)
        return np.where(at_f, 1.0, curve) if name == "press" else curve

    broken = {line.split()[0] for line in mouth_failures(judge(with_mouth(track, spoil)))}
    assert {"rounded_width", "rounded_teeth", "labiodental_teeth"} <= broken


def failures(**figures: float) -> set[str]:
    """Names of the limits that a mouth breaks which is good but for `figures`."""
    good = {
        "snap": 0.2,
        "closing_snap": 0.4,
        "flicker_hz": 0.0,
        "rounded_width": 0.7,
        "rounded_teeth": 0.0,
        "labiodental_teeth": 1.0,
    }
    return {line.split()[0] for line in mouth_failures(MouthReport(**good | figures))}
