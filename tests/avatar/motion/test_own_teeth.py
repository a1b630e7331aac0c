"""Teeth cut from footage: found where a person shows them, refused where they do not."""

import numpy as np
import pytest
from avatar.engines.motion.teeth import own_upper_teeth
from avatar.judge.video_measures import watch
from clipmaker import load_person
from clipmaker.scene import Stage


def frame(person: str, yaw: float) -> np.ndarray:
    stage = Stage(load_person(person, 92), (854, 480))
    return stage.draw(stage.person.pixels, yaw=yaw)


@pytest.mark.parametrize("yaw", [0.0, 12.0])
def test_a_smile_gives_its_teeth(yaw: float) -> None:
    picture = frame("astronaut", yaw)
    plate = own_upper_teeth(picture, watch([picture]).landmarks[0])
    assert plate is not None
    alpha = plate.pixels[..., 3]
    row = plate.pixels[alpha > 0.9][:, :3].mean(axis=0)
    assert row.min() > 110, "teeth are bright"
    assert row[2] - row[0] < 60, "and not red like lips"
    assert (alpha > 0.5).any(axis=0).mean() > 0.5


def test_a_shut_mouth_has_none_to_give() -> None:
    picture = frame("grace_hopper", 0)
    assert own_upper_teeth(picture, watch([picture]).landmarks[0]) is None
