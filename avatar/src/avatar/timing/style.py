"""Translates the liveliness of a scene (`Movement`) into the numbers that `control_track` reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from avatar.spec import Movement


@dataclass(frozen=True, slots=True)
class MotionStyle:
    """Amplitudes are factors (1 = as measured on people talking to a camera), angles standard deviations in
    degrees.
    """

    mouth: float = 1.0
    head: float = 1.0
    brow: float = 1.0
    gaze: float = 1.0
    nods: float = 1.0
    gestures: float = 1.0
    yaw_sd_deg: float = 2.9
    pitch_sd_deg: float = 1.4
    roll_sd_deg: float = 1.1
    blink_interval_s: float = 2.9
    """Median time between blinks."""
    breath_hz: float = 0.27
    lead_ms: int = 20
    """The mouth runs ahead of the middle of each frame: people see the lips move before they hear the sound.
    """
    gap_per_second: float = 4.4
    """Fastest opening and closing, in full openings per second."""


CALM = MotionStyle(mouth=0.9, head=0.6, brow=0.6, gaze=0.7, nods=0.6, gestures=0.7)
LIVELY = MotionStyle(mouth=1.05, head=1.25, brow=1.3, gaze=1.1, nods=1.3, gestures=1.3)
_MANNERS = {"calm": CALM, "natural": MotionStyle(), "lively": LIVELY}


def motion_style(movement: Movement) -> MotionStyle:
    """The manner, with what differs from it."""
    return replace(_MANNERS[movement.manner], **movement.model_dump(exclude={"manner"}, exclude_none=True))
