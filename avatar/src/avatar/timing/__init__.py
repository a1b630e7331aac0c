"""Timing: a spoken scene goes in, curves for mouth, eyes, brows and head come out, frame by frame."""

from avatar.timing.acting import Acting, ActingMark, OverlaySide
from avatar.timing.style import motion_style
from avatar.timing.track import control_track, frames_of

__all__ = [
    "Acting",
    "ActingMark",
    "OverlaySide",
    "control_track",
    "frames_of",
    "motion_style",
]
