"""The movement of a scene's speaker becomes the numbers of the control track."""

from __future__ import annotations

import pytest
from avatar.spec import Movement
from avatar.timing import control_track, motion_style
from avatar.timing.style import CALM, LIVELY, MotionStyle
from avatar.tracks import SpeechTrack
from pydantic import ValidationError


def test_nothing_said_is_the_natural_manner() -> None:
    assert motion_style(Movement()) == MotionStyle()
    assert motion_style(Movement(manner="calm")) == CALM
    assert motion_style(Movement(manner="lively")) == LIVELY


def test_what_is_said_beside_the_manner_takes_its_place() -> None:
    style = motion_style(Movement(manner="calm", nods=0.0, blink_interval_s=5))
    assert (style.nods, style.blink_interval_s, style.head) == (0.0, 5, CALM.head)


@pytest.mark.parametrize("field", sorted(Movement.model_fields.keys() - {"manner"}))
def test_every_number_that_can_be_said_changes_the_movement(speech: SpeechTrack, field: str) -> None:
    movement = Movement.model_validate({field: 1.5})
    plain, changed = control_track(speech, 25, 1), control_track(speech, 25, 1, style=motion_style(movement))
    moved = any((plain[name] != changed[name]).any() for name in plain.curves)
    assert moved or plain.gestures != changed.gestures


def test_a_lively_speaker_moves_more_than_a_calm_one(speech: SpeechTrack) -> None:
    calm, lively = (
        control_track(speech, 25, 1, style=motion_style(Movement.model_validate({"manner": manner})))
        for manner in ("calm", "lively")
    )
    for name in ("yaw_deg", "pitch_deg", "roll_deg", "brow", "gaze_x"):
        assert lively[name].std() > 1.2 * calm[name].std(), name


def test_a_factor_without_sense_is_refused() -> None:
    for movement in ({"head": -1}, {"mouth": 3}, {"manner": "wild"}, {"shrugs": 1}):
        with pytest.raises(ValidationError):
            Movement.model_validate(movement)
