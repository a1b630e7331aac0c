"""The motion of a face that answers live: sentences come, are interrupted, and nothing jumps."""

from __future__ import annotations

import numpy as np
import pytest
from avatar.engines.rig.pose import poses
from avatar.timing import control_track
from avatar.timing.live import STATES, LiveMotion
from avatar.tracks import MOUTH_CHANNELS, ControlTrack, GestureCue, SpeechTrack, aperture_e

FPS = 25
LIMITS = {"yaw_deg": 1.2, "pitch_deg": 0.6, "roll_deg": 0.6, "smile": 0.1}
"""How much further a channel may move within a frame than in the sentence itself."""


@pytest.fixture(scope="module")
def sentence(speech: SpeechTrack) -> ControlTrack:
    return control_track(speech, FPS, 7)


@pytest.fixture
def idle(sentence: ControlTrack) -> ControlTrack:
    """Looks aside with its mouth shut, so that each way back can be seen."""
    curves = {name: np.zeros(50, np.float32) for name in sentence.curves}
    curves["yaw_deg"] += 6.0
    curves["smile"] += 0.4
    return ControlTrack(FPS, curves)


def opening(channels: dict[str, float]) -> float:
    mouth = (np.float32(channels[name]) for name in ("jaw", "low", "raise", "press"))
    return float(aperture_e(*mouth))


def steps(frames: list[dict[str, float]], name: str) -> float:
    return float(np.abs(np.diff([one[name] for one in frames])).max())


def test_a_sentence_moves_the_lips_as_its_own_track_does(idle: ControlTrack, sentence: ControlTrack) -> None:
    motion = LiveMotion(idle)
    before = [motion.at(index) for index in range(10)]
    assert max(map(opening, before)) == 0
    motion.say(sentence, 10 / FPS)
    frames = [motion.at(10 + index) for index in range(sentence.frames)]
    settled = slice(6, sentence.frames)
    for name in MOUTH_CHANNELS:
        assert np.allclose([one[name] for one in frames][settled], sentence[name][settled], atol=1e-5), name
    assert not motion.is_speaking(10 + sentence.frames + 60)


def test_a_sentence_between_two_frames_is_read_between_them(
    idle: ControlTrack, sentence: ControlTrack
) -> None:
    motion = LiveMotion(idle)
    motion.say(sentence, 0.5 / FPS)
    found = [motion.at(index)["jaw"] for index in range(60)][20:]
    middle = (sentence["jaw"][19:59] + sentence["jaw"][20:60]) / 2
    assert np.allclose(found, middle, atol=1e-5)


def test_an_interruption_shuts_the_mouth_within_a_tenth_of_a_second(
    idle: ControlTrack, sentence: ControlTrack
) -> None:
    widest = int(np.argmax(sentence.aperture_e()))
    motion = LiveMotion(idle)
    motion.say(sentence, 0.0)
    frames = [motion.at(index) for index in range(widest + 1)]
    assert opening(frames[-1]) > 0.05
    motion.hush((widest + 1) / FPS)
    frames += [motion.at(widest + 1 + index) for index in range(20)]
    assert opening(frames[widest + 3]) < 0.005, "two and a half frames later"
    motion.say(sentence, (widest + 30) / FPS)
    assert opening(motion.at(widest + 25)) == 0, "the next sentence has not begun"


def test_nothing_jumps_where_sentences_begin_and_end(idle: ControlTrack, sentence: ControlTrack) -> None:
    motion = LiveMotion(idle)
    motion.say(sentence, 1.0)
    motion.say(sentence, 1.0 + sentence.frames / FPS)
    frames = [motion.at(index) for index in range(50 + 2 * sentence.frames)]
    for name, limit in LIMITS.items():
        own = float(np.abs(np.diff(sentence[name])).max())
        assert steps(frames, name) <= own + limit, name


def test_who_listens_leans_in_and_who_thinks_looks_up(idle: ControlTrack) -> None:
    motion = LiveMotion(idle)
    still = motion.at(0)
    for state in ("listening", "thinking"):
        motion.show(state)  # type: ignore[arg-type]
        frames = [motion.at(index) for index in range(1, 80)]
        for name, offset in STATES[state].items():  # type: ignore[index]
            assert frames[-1][name] - still[name] == pytest.approx(offset, abs=0.01), (state, name)
            assert steps(frames, name) <= LIMITS.get(name, 0.4)


def test_arms_never_jump_when_a_sentence_is_cut_off(idle: ControlTrack, sentence: ControlTrack) -> None:
    waving = ControlTrack(
        FPS,
        sentence.curves,
        (GestureCue("wave", "right", 0.9, 2.1), GestureCue("open-palm", "both", 4.0, 5.0)),
    )
    for cut in range(0, 140, 7):
        motion = LiveMotion(idle)
        shown = poses(motion)
        motion.say(waving, 0.0)
        wrists = []
        for index in range(170):
            if index == cut:
                motion.hush(index / FPS)
            arm = next(shown).arms[1]
            # An arm that hangs is below the picture.
            wrists.append((205.0, 530.0) if arm is None else arm.wrist[:2])
        assert np.abs(np.diff(wrists, axis=0)).max() < 50, cut
        assert wrists[-1] == (205.0, 530.0), "it came down"
