"""Mood and gestures of a scene, and what they do to head, brows and eyes; called by `control_track`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from avatar.timing.acting import Acting
from avatar.timing.gestures import gestures
from avatar.timing.head import HeadCurves
from avatar.timing.moods import expression_curves
from avatar.timing.noise import Array, glide
from avatar.timing.style import MotionStyle
from avatar.tracks import MOOD_CHANNELS, GestureCue, SpeechTrack

MOVE_S = 0.45
"""The head takes that long into a gesture, and out of it."""
LOOK_S = 0.9
"""How long the eyes look where a hand points, before they come back to the viewer."""
_HEAD: dict[str, dict[str, float]] = {
    # What a gesture adds, for the picture's right side; x-like values change sign on the left.
    "beat": {"pitch_deg": 0.8},
    "open-palm": {"yaw_deg": 2.2, "roll_deg": 1.0, "brow": 0.22, "smile": 0.15},
    "point": {"yaw_deg": 5.5, "roll_deg": 0.8, "brow": 0.2},
    "wave": {"roll_deg": 2.2, "smile": 0.5, "brow": 0.3},
    "shrug": {"roll_deg": 3.2, "brow": 0.6, "brow_tilt": 0.35, "smile": -0.25},
    "think": {"roll_deg": -2.6, "pitch_deg": -1.2, "yaw_deg": -2.5, "brow": 0.15, "brow_tilt": -0.12},
    "count": {"pitch_deg": 0.6, "brow": 0.15},
}
_MIRRORED = ("yaw_deg", "roll_deg")
_LOOK: dict[str, tuple[float, float]] = {"point": (0.75, 0.12), "think": (-0.55, -0.6)}


@dataclass(frozen=True, slots=True)
class BodyMotion:
    """Offsets by channel (frames,), the gestures, and how lively the head moves meanwhile."""

    curves: dict[str, Array]
    gestures: tuple[GestureCue, ...]
    style: MotionStyle
    lively: Array
    gaze_x: Array
    gaze_y: Array

    def join(self, head: HeadCurves) -> HeadCurves:
        """Returns the head's motion with mood and gestures added."""
        add = self.curves
        return replace(
            head,
            yaw_deg=np.clip(head.yaw_deg + add["yaw_deg"], -15, 15),
            pitch_deg=np.clip(head.pitch_deg + add["pitch_deg"], -10, 12),
            roll_deg=np.clip(head.roll_deg + add["roll_deg"], -8, 8),
            brow=np.clip(head.brow + add["brow"], -1, 1),
        )


def body_motion(
    speech: SpeechTrack, times: Array, rest: Array, seed: int, style: MotionStyle, acting: Acting
) -> BodyMotion:
    """Returns mood and gestures over `times` (n,), seconds; `rest`: `at_edges` of them."""
    mood = expression_curves(times, speech.words, acting.mood, acting.marks)
    names = ("yaw_deg", "pitch_deg", "roll_deg", "brow", *MOOD_CHANNELS)
    # Angles come to rest where scenes join; a face keeps its mood.
    curves = {name: np.zeros(len(times)) + mood.get(name, 0.0) for name in names}
    for name in ("pitch_deg", "roll_deg"):
        curves[name] = curves[name] * rest * style.head
    cues = gestures(
        speech.words, acting.marks, acting.overlays, speech.duration_ms / 1000, seed, style.gestures
    )
    gaze_x, gaze_y = np.zeros(len(times)), np.zeros(len(times))
    for cue in cues:
        kind = cue.name if cue.name in _HEAD else cue.name.split("-")[0]
        sign = -1.0 if cue.side == "left" else 1.0
        held = _held(times, cue.stroke_s, cue.release_s)
        for name, value in _HEAD[kind].items():
            curves[name] += held * value * (sign if name in _MIRRORED else 1.0) * cue.size
        if kind in _LOOK:
            x, y = _LOOK[kind]
            looking = _held(times, cue.stroke_s, min(cue.release_s, cue.stroke_s + LOOK_S), 0.12)
            gaze_x += looking * x * sign
            gaze_y += looking * y
    nods = float(np.mean(mood["nods"])) if len(times) else 1.0
    return BodyMotion(curves, cues, replace(style, nods=style.nods * nods), mood["lively"], gaze_x, gaze_y)


def _held(times: Array, start_s: float, end_s: float, move_s: float = MOVE_S) -> Array:
    """0 before, 1 from `start_s` to `end_s`, 0 after, with a smooth way of `move_s` before and after."""
    return glide((times - start_s + move_s) / move_s) * (1.0 - glide((times - end_s) / move_s))
