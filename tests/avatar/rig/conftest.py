"""Poses and control tracks made by hand, so that the rig is tested without a voice."""

from collections.abc import Callable

import numpy as np
import pytest
from avatar.engines.rig.pose import Pose
from avatar.tracks import CHANNELS, ControlTrack

MakePose = Callable[..., Pose]
MakeTrack = Callable[..., ControlTrack]


@pytest.fixture(scope="session")
def pose() -> MakePose:
    """`pose(jaw=0.5, swing=2.0)`: all other channels are zero. `raise` is a keyword, so write `raise_`."""

    def make(swing: float = 0.0, **channels: float) -> Pose:
        named = {name.rstrip("_"): value for name, value in channels.items()}
        return Pose(dict.fromkeys(CHANNELS, 0.0) | named, swing)

    return make


@pytest.fixture(scope="session")
def track() -> MakeTrack:
    """`track(frames, jaw=curve)`: all other curves are zero."""

    def make(frames: int, fps: int = 25, **curves: np.ndarray) -> ControlTrack:
        named = {name.rstrip("_"): np.asarray(curve, np.float32) for name, curve in curves.items()}
        return ControlTrack(fps, {name: np.zeros(frames, np.float32) for name in CHANNELS} | named)

    return make


@pytest.fixture(scope="session")
def lively(track: MakeTrack) -> ControlTrack:
    """Two seconds in which every channel moves."""
    time = np.arange(50) / 25

    def wave(hertz: float, low: float, high: float) -> np.ndarray:
        return low + (high - low) * (0.5 - 0.5 * np.cos(2 * np.pi * hertz * time))

    return track(
        50,
        jaw=wave(3, 0, 0.8), low=wave(2, 0, 0.6), raise_=wave(2.5, 0, 0.4), tuck=wave(0.5, 0, 0.3),
        wide=wave(1, -0.8, 0.8), tongue=wave(1.5, 0, 0.5), blink=wave(1, 0, 1), gaze_x=wave(0.5, -1, 1),
        gaze_y=wave(0.7, -1, 1), brow=wave(0.6, -1, 1), yaw_deg=wave(0.5, -8, 8), pitch_deg=wave(0.6, -5, 5),
        roll_deg=wave(0.4, -4, 4), sway=wave(0.3, -1, 1), breath=wave(0.3, 0, 1),
    )  # fmt: skip
