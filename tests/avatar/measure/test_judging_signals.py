"""The judge on signals that are known exactly: a good mouth passes, each way of being wrong is named."""

from dataclasses import replace

import numpy as np
import pytest
from avatar.judge.video_measures import Observation, judge_sync
from phrases import phrase
from rendering import not_judged
from video_limits import sync_failures

CONTROL, PHONES = phrase()
TARGET = CONTROL.aperture_e()


def observe(aperture, width=None, eye=None) -> Observation:
    """An observation with those lips, and with corners and lids as intended unless given."""
    noise = np.random.default_rng(3).normal(0, 0.0008, len(TARGET))
    return Observation(
        aperture=(aperture + noise).astype(np.float32),
        width=(0.6 + 0.08 * CONTROL["wide"] if width is None else width).astype(np.float32),
        eye=(0.3 - 0.25 * CONTROL["blink"] if eye is None else eye).astype(np.float32),
        yaw_deg=np.zeros_like(TARGET),
        landmarks=np.zeros((len(TARGET), 478, 3), np.float32),
    )


def failures_of(observation: Observation, background: float = 0.99) -> set[str]:
    report = judge_sync(observation, CONTROL, PHONES, background_ssim=background)
    assert not_judged(report) == []
    return {line.split()[0] for line in sync_failures(report)}


def test_lips_that_follow_the_curve_pass_every_limit() -> None:
    report = judge_sync(observe(TARGET + 0.008), CONTROL, PHONES, background_ssim=0.99)
    assert sync_failures(report) == []
    assert report.gain == pytest.approx(1.0, abs=0.03)
    assert report.bilabials == 7


def test_a_delay_is_read_to_a_fraction_of_a_frame() -> None:
    index = np.arange(len(TARGET))
    late = np.interp(index - 1.5, index, TARGET)
    assert judge_sync(observe(late), CONTROL, PHONES).lag_ms == pytest.approx(60, abs=8)
    early = np.interp(index + 0.5, index, TARGET)
    assert judge_sync(observe(early), CONTROL, PHONES).lag_ms == pytest.approx(-20, abs=8)


def test_a_mouth_200_ms_late_fails() -> None:
    assert {"aperture_r", "lag_ms"} <= failures_of(observe(np.roll(TARGET, 5)))


def test_half_the_opening_fails_by_its_gain_alone() -> None:
    assert failures_of(observe(0.5 * TARGET)) == {"gain"}


def test_lips_that_never_close_in_speech_fail() -> None:
    times = np.arange(len(TARGET)) * 1000 / CONTROL.fps
    speaking = np.any([(times >= p.start_ms) & (times < p.end_ms) for p in PHONES if p.ipa], axis=0)
    assert failures_of(observe(np.maximum(TARGET, 0.04 * speaking))) == {"bilabials_closed"}


def test_lips_that_never_close_at_all_have_no_rest_of_their_own() -> None:
    assert {"bilabials_closed", "rest_e"} <= failures_of(observe(TARGET + 0.06))


def test_shuffled_frames_fail() -> None:
    assert "aperture_r" in failures_of(observe(np.random.default_rng(1).permutation(TARGET)))


def test_lips_that_move_in_silence_fail() -> None:
    wobble = 0.06 * (np.arange(len(TARGET)) % 2)
    assert "silence_motion" in failures_of(observe(np.where(TARGET > 0, TARGET, wobble)))


def test_a_mouth_that_never_widens_fails() -> None:
    assert failures_of(observe(TARGET, width=np.full_like(TARGET, 0.6))) == {"width_r"}


def test_eyes_that_never_blink_fail() -> None:
    assert failures_of(observe(TARGET, eye=np.full_like(TARGET, 0.3))) == {"blink_r"}


def test_a_wobbling_background_fails() -> None:
    assert failures_of(observe(TARGET), background=0.97) == {"background_ssim"}


def test_a_face_that_is_missing_too_often_fails() -> None:
    aperture = TARGET.copy()
    aperture[40:46] = np.nan
    report = judge_sync(observe(aperture), CONTROL, PHONES)
    assert [line.split()[0] for line in sync_failures(report)] == ["tracked"]


def test_what_a_clip_cannot_show_is_said_and_not_passed() -> None:
    still = replace(CONTROL, curves=CONTROL.curves | {"blink": np.zeros_like(TARGET)})
    report = judge_sync(
        observe(TARGET), still, [phone for phone in PHONES if phone.ipa not in ("p", "b", "m")]
    )
    assert not_judged(report) == ["bilabials_closed", "blink_r", "background_ssim"]
