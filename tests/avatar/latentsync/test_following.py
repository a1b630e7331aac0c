from __future__ import annotations

import numpy as np
import pytest
from avatar.engines.latentsync.align import TEMPLATE, Aligner, ratio, similarity
from avatar.engines.latentsync.face_placement import FADE_OUT_FRAMES, HELD_FRAMES, PlacementTracker
from avatar.face.landmarks import FaceLandmarks
from synthetic_speaker import DotTracker, speaker

SIDE = 256


def face(x: float, y: float = 80.0, size: float = 1.0) -> FaceLandmarks:
    found = DotTracker().track(speaker(0))[0]
    middle = found.points[:, :2].mean(axis=0)
    points = found.points.copy()
    points[:, :2] = (points[:, :2] - middle) * size + (x, y)
    return FaceLandmarks(points, 0.9)


def test_the_similarity_turns_scales_and_shifts() -> None:
    angle, scale, shift = 0.4, 1.7, np.array([30.0, -12.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = np.array([[10.0, 12.0], [60.0, 9.0], [33.0, 48.0]])
    matrix, bias = similarity(source, source @ turn.T + shift)
    assert matrix == pytest.approx(np.column_stack([turn, shift]))
    assert np.abs(bias).max() < 2 * scale


def test_a_face_lands_on_the_template() -> None:
    template = TEMPLATE * ratio(SIDE)
    matrix = Aligner(SIDE).matrix(template / 3 + (40, 20))
    landed = (template / 3 + (40, 20)) @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(landed - template).max() < 1.5


def test_a_lost_face_stays_then_fades_and_comes_back_softly() -> None:
    follower = PlacementTracker(SIDE)
    first = follower.update(face(90))
    assert (first.found, first.strength) == (True, 1.0)
    gone = [follower.update(None) for _ in range(HELD_FRAMES + FADE_OUT_FRAMES + 3)]
    strengths = [seen.strength for seen in gone]
    assert strengths[:HELD_FRAMES] == [1.0] * HELD_FRAMES
    assert strengths[HELD_FRAMES : HELD_FRAMES + FADE_OUT_FRAMES] == pytest.approx(
        [1 - (n + 1) / FADE_OUT_FRAMES for n in range(FADE_OUT_FRAMES)]
    )
    assert strengths[-1] == 0.0
    assert not any(seen.found for seen in gone)
    assert all(seen.matrix is first.matrix for seen in gone)
    back = [follower.update(face(100)).strength for _ in range(5)]
    assert back == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_who_first_appears_in_the_midst_of_a_clip_comes_softly_as_well() -> None:
    follower = PlacementTracker(SIDE)
    assert [follower.update(None).strength for _ in range(50)] == [0.0] * 50
    come = [follower.update(face(100)).strength for _ in range(5)]
    assert come == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert PlacementTracker(SIDE).update(face(100)).strength == 1.0, (
        "who is there from the beginning speaks at once"
    )


def test_noise_of_the_landmarks_is_damped_and_movement_is_not() -> None:
    generator = np.random.default_rng(4)
    anchors = TEMPLATE * 2 + 50
    steady, published = Aligner(SIDE), Aligner(SIDE, "published")
    shaken = [anchors + generator.normal(0, 0.3, (3, 2)) for _ in range(60)]
    spread = {
        name: np.std([aligner.matrix(three)[:, 2] for three in shaken], axis=0).max()
        for name, aligner in (("steady", steady), ("published", published))
    }
    assert spread["steady"] < 0.8 * spread["published"]
    moved = [steady.matrix(anchors + np.array([4.0 * step, 0])) for step in range(1, 12)]
    landed = (anchors + np.array([44.0, 0])) @ moved[-1][:, :2].T + moved[-1][:, 2]
    assert np.abs(landed - TEMPLATE * ratio(SIDE)).max() < 3
