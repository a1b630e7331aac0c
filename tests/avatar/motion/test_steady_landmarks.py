"""Landmarks over time: quieter but not later, bridged for a moment, trusted where a mouth is seen."""

import numpy as np
import pytest
from avatar.engines.motion.appearance import Likeness, sample
from avatar.engines.motion.steady import steady
from avatar.face.turning import yaw_deg
from clipmaker import load_person

FPS = 25
pytest.importorskip("mediapipe", reason="needs the extra `face`: Python 3.11 or 3.12, then `make test`")
FACE = load_person("grace_hopper", 92).points
SEEN = np.ones(60, np.float32)


def clip(count: int = 60) -> np.ndarray:
    """The same face `count` times."""
    return np.repeat(FACE[None], count, axis=0).astype(np.float32)


def test_noise_is_taken_out_and_the_heads_own_movement_is_not() -> None:
    walk = 30 * np.sin(np.arange(60) / 4)[:, None]
    truth = clip()
    truth[..., 0] += walk
    noisy = truth + np.random.default_rng(2).normal(0, 0.4, truth.shape).astype(np.float32)
    calm = steady(noisy, SEEN, FPS)
    assert calm is not None
    error = np.abs(calm.points[..., :2] - truth[..., :2])[5:-5, [13, 14, 61, 291]]
    assert error.mean() < 0.8 * np.abs(noisy - truth)[5:-5, [13, 14, 61, 291], :2].mean()
    assert np.abs(calm.points[:, 168, 0] - truth[:, 168, 0]).max() < 1.0


def test_speaking_lips_are_followed_without_delay() -> None:
    talking = clip()
    opening = 12 * np.clip(np.sin(2 * np.pi * 3.1 * np.arange(60) / FPS), 0, None)
    talking[:, [14, 87, 317, 17], 1] += opening[:, None].astype(np.float32)
    calm = steady(talking, SEEN, FPS)
    assert calm is not None
    assert np.abs(calm.points[:, 14, 1] - talking[:, 14, 1]).max() < 1.2


def test_a_blink_of_the_tracker_is_bridged_and_a_long_loss_fades_out() -> None:
    moving = clip()
    moving[..., 0] += np.arange(60)[:, None]
    for lost in (slice(10, 13), slice(30, 50)):
        moving[lost] = np.nan
    calm = steady(moving, SEEN, FPS)
    assert calm is not None
    assert calm.points[11, 168, 0] == pytest.approx(FACE[168, 0] + 11, abs=0.5)
    assert calm.strength[5:15].min() == 1.0
    assert calm.strength[37:43].max() == 0.0
    assert calm.strength[55] == pytest.approx(1.0)


def test_a_covered_mouth_is_let_go_before_it_is_covered() -> None:
    visible = SEEN.copy()
    visible[30:34] = 0.0
    calm = steady(clip(), visible, FPS)
    assert calm is not None
    assert calm.strength[30:34].max() == 0.0
    assert calm.strength[20] == pytest.approx(1.0)
    assert np.abs(np.diff(calm.strength)).max() < 0.3


def test_a_face_in_profile_is_let_through() -> None:
    turned = clip()
    angle = np.radians(62 * 0.78)
    middle = turned[:, :, :].mean(axis=1, keepdims=True)
    x, z = (turned - middle)[..., 0], (turned - middle)[..., 2]
    turned[..., 0] = middle[..., 0] + x * np.cos(angle) - z * np.sin(angle)
    turned[..., 2] = middle[..., 2] + x * np.sin(angle) + z * np.cos(angle)
    assert np.abs(yaw_deg(turned)).min() > 52
    calm = steady(turned, SEEN, FPS)
    assert calm is not None
    assert calm.strength.max() < 0.1


def test_nowhere_a_face_is_nothing() -> None:
    assert steady(np.full((20, 478, 3), np.nan, np.float32), SEEN[:20], FPS) is None


def test_a_covered_face_does_not_look_like_itself() -> None:
    person = load_person("astronaut", 92)
    picture = person.pixels[..., :3]
    own = sample(picture, person.points)
    likeness = Likeness.of(np.stack([own] * 5))
    darker = np.clip(picture * 0.6, 0, 255).astype(np.uint8)
    covered = picture.copy()
    x, y = person.points[13, :2].astype(int)
    covered[y - 60 : y + 70, x - 70 : x + 70] = (112, 138, 184)
    scores = likeness.visible(np.stack([own, sample(darker, person.points), sample(covered, person.points)]))
    assert scores[0] == 1.0
    assert scores[1] > 0.9, "less light is no cover"
    assert scores[2] == 0.0
    assert likeness.visible(np.full((1, *own.shape), np.nan, np.float32))[0] == 0.0
