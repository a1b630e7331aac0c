"""Computes the mouth movement that a scene's speech asks for, with limits for videos that follow the sound.

Called by rehearsals and by `make look`.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from avatar.judge.video_measures import Frames, Observation
from avatar.spec import RenderSpec, Scene
from avatar.speech import speak
from avatar.timing import control_track
from avatar.tracks import ControlTrack, Phone

SENTENCE = "My mama saw two blue moons. Apples, Bob, please! We keep the big boats above the bay."
FRONTAL_DEG = 22.0
MIN_ALIGNED_R, MAX_ALIGNED_LAG_MS = 0.75, 60.0
"""Times found again in the sound differ from the voice's own by a frame or two, and so do the curves."""


def speak_again(scene: Scene, fps: int) -> tuple[ControlTrack, tuple[Phone, ...]]:
    """Returns the curves and phones of the scene's speech, spoken anew. Raises as `avatar.speech.speak`."""
    with tempfile.TemporaryDirectory() as folder:
        speech = speak(scene, Path(folder), lambda ref: Path(ref.path or ""))
        return control_track(speech, fps, RenderSpec(scenes=(scene,)).seed), speech.phones


def without_blinks(control: ControlTrack) -> ControlTrack:
    """Returns the curves without blinks, for people whose eyes are their own: those are then not judged."""
    return replace(control, curves=control.curves | {"blink": np.zeros_like(control["blink"])})


def frontal_frames(seen: Observation) -> Frames:
    """Returns (frames,) bool: where the head is turned so little that lips can be measured."""
    return np.asarray(np.abs(np.nan_to_num(seen.yaw_deg, nan=90.0)) < FRONTAL_DEG)
