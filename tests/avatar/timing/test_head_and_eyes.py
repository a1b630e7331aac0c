"""Head, eyes, brows and breath: alive, smooth, tied to the speech."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from avatar.timing import control_track
from avatar.timing.noise import generator, glide, smooth_noise, steps
from avatar.timing.style import MotionStyle
from avatar.timing.track import phrase_ends
from avatar.tracks import ControlTrack, SpeechTrack

LongSpeech = Callable[[float], SpeechTrack]

FPS = 25


@pytest.fixture(scope="module")
def ten_minutes(long_speech: LongSpeech) -> SpeechTrack:
    return long_speech(10)


@pytest.fixture(scope="module")
def moving_track(ten_minutes: SpeechTrack) -> ControlTrack:
    return control_track(ten_minutes, FPS, 5)


def blink_frames(track: ControlTrack) -> npt.NDArray[np.intp]:
    """Middle frame of each closure."""
    closed = np.concatenate(([False], track["blink"] > 0.99, [False]))
    edges = np.flatnonzero(np.diff(closed.astype(np.int8)))
    return (edges[::2] + edges[1::2]) // 2


def test_blinks_come_as_often_as_peoples_and_close_the_lids(moving_track: ControlTrack) -> None:
    middles = blink_frames(moving_track)
    per_minute = len(middles) / 10
    assert 14 < per_minute < 30
    begun = int(((moving_track["blink"][1:] > 0.02) & (moving_track["blink"][:-1] <= 0.02)).sum())
    assert abs(begun - len(middles)) <= 0.15 * len(middles)
    gaps = np.diff(middles) / FPS
    assert gaps.min() > 0.2
    assert 1.2 < np.median(gaps) < 4.0
    assert 0.03 < (gaps < 0.6).mean() < 0.25


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_lids_close_fully_at_every_frame_rate(speech: SpeechTrack, fps: int) -> None:
    track = control_track(speech, fps, 3)
    before, lid, after = track["blink"][:-2], track["blink"][1:-1], track["blink"][2:]
    peaks = lid[(lid >= before) & (lid > after)]
    assert len(peaks) >= 2
    assert peaks.min() == 1


def test_blinks_prefer_the_ends_of_phrases(moving_track: ControlTrack, ten_minutes: SpeechTrack) -> None:
    ends = np.array(phrase_ends(ten_minutes))
    near = lambda times: np.mean([np.abs(ends + 0.1 - time).min() < 0.12 for time in times])  # noqa: E731
    by_chance = near(np.linspace(1, 590, 3000))
    assert near(blink_frames(moving_track) / FPS) > 2 * by_chance


def test_the_idle_head_moves_as_far_as_measured_on_people(moving_track: ControlTrack) -> None:
    assert 1.6 < moving_track["yaw_deg"].std() < 3.6
    assert 0.7 < moving_track["pitch_deg"].std() < 1.9
    assert 0.5 < moving_track["roll_deg"].std() < 1.3
    assert np.abs(moving_track["yaw_deg"]).max() <= 15
    assert abs(float(moving_track["yaw_deg"].mean())) < 0.5


def test_the_head_never_jitters(moving_track: ControlTrack) -> None:
    for name, limit in (("yaw_deg", 0.95), ("pitch_deg", 0.9), ("roll_deg", 0.5), ("sway", 0.06)):
        curve = moving_track[name].astype(np.float64)
        assert np.abs(np.diff(curve)).max() < limit, name
        spectrum = np.abs(np.fft.rfft(curve - curve.mean())) ** 2
        frequencies = np.fft.rfftfreq(len(curve), 1 / FPS)
        assert spectrum[frequencies > 4].sum() < 0.002 * spectrum.sum(), name


def test_the_head_moves_more_while_speaking(long_speech: LongSpeech) -> None:
    speech = long_speech(4)
    silent = replace(speech, words=(), phones=())
    silence = speech.wav.with_name("silence.wav")
    content = speech.wav.read_bytes()
    silence.write_bytes(content[:44] + bytes(len(content) - 44))
    quiet = control_track(replace(silent, wav=silence), FPS, 5)
    assert quiet["yaw_deg"].std() < 0.85 * control_track(speech, FPS, 5)["yaw_deg"].std()


def test_a_stressed_word_nods_and_raises_the_brows(speech: SpeechTrack) -> None:
    word = next(word for word in speech.words if word.emphasis)
    plain = replace(speech, words=tuple(replace(item, emphasis=False) for item in speech.words))
    stressed, unstressed = control_track(speech, FPS, 1), control_track(plain, FPS, 1)
    frames = slice(word.start_ms * FPS // 1000, word.start_ms * FPS // 1000 + 10)
    assert (stressed["pitch_deg"] - unstressed["pitch_deg"])[frames].max() > 0.9
    assert (stressed["brow"] - unstressed["brow"])[frames].max() > 0.3


def test_a_question_ends_with_raised_brows(speech: SpeechTrack) -> None:
    word = next(word for word in speech.words if word.text.endswith("?"))
    plain = replace(
        speech, words=tuple(replace(item, text=item.text.replace("?", ".")) for item in speech.words)
    )
    at = word.end_ms * FPS // 1000
    assert control_track(speech, FPS, 1)["brow"][at] > control_track(plain, FPS, 1)["brow"][at] + 0.4


def test_eyes_stay_on_the_viewer_by_turning_against_the_head(moving_track: ControlTrack) -> None:
    assert np.corrcoef(moving_track["gaze_x"], moving_track["yaw_deg"])[0, 1] < -0.5
    assert max(np.abs(moving_track["gaze_x"]).max(), np.abs(moving_track["gaze_y"]).max()) <= 0.81
    relative = moving_track["gaze_x"] + 0.8 * moving_track["yaw_deg"] / 9.9
    assert np.mean(np.abs(relative) < 0.2) > 0.75
    jumps = np.abs(np.diff(relative)) > 0.1
    assert 3 < jumps.sum() / 10 < 60


def test_the_chest_breathes_at_its_pace(moving_track: ControlTrack) -> None:
    rising = np.flatnonzero((moving_track["breath"][1:] > 0.5) & (moving_track["breath"][:-1] <= 0.5))
    assert 0.24 < len(rising) / 600 < 0.30
    assert moving_track["breath"].min() < 0.01
    assert moving_track["breath"].max() > 0.99


def test_a_style_sets_the_pace_of_breath(ten_minutes: SpeechTrack) -> None:
    breath = control_track(ten_minutes, FPS, 5, style=MotionStyle(breath_hz=0.4))["breath"]
    rising = int(((breath[1:] > 0.5) & (breath[:-1] <= 0.5)).sum())
    assert 0.36 < rising / 600 < 0.44


def test_noise_has_unit_variance_and_a_longer_clip_begins_like_a_shorter_one() -> None:
    times = np.arange(50_000) / 25
    long, short = smooth_noise(generator(1, 1), times, 0.5), smooth_noise(generator(1, 1), times[:100], 0.5)
    assert 0.9 < long.std() < 1.1
    assert np.array_equal(long[:100], short)


def test_steps_hold_their_level_until_the_next_moment() -> None:
    times = np.arange(0, 3, 0.1)
    curve = steps(times, np.array([1.0, 2.0]), np.array([5.0, -1.0]), 0.5, start=2.0)
    assert np.allclose(curve[times < 1.0], 2)
    assert np.allclose(curve[(times >= 1.5) & (times < 2.0)], 5)
    assert np.allclose(curve[times >= 2.5], -1)
    assert np.all(np.diff(glide(np.linspace(-1, 2, 50))) >= 0)
