"""The poses of the golden frames, shared by the test and by the script that makes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from avatar.engines.mesh import PhotoEngine
from avatar.tracks import CHANNELS

FIXTURES = Path(__file__).parent / "fixtures"
SIZE = (320, 180)
POSES: dict[str, dict[str, float]] = {
    "speaking": {
        "jaw": 0.6,
        "low": 0.4,
        "raise": 0.3,
        "wide": 0.3,
        "yaw_deg": 3.0,
        "brow": 0.5,
        "breath": 1.0,
    },
    "blinking": {"blink": 1.0, "wide": -0.8, "jaw": 0.2, "gaze_x": 0.6, "roll_deg": -2.0, "sway": 0.7},
}


def frame(engine: PhotoEngine, channels: dict[str, float]) -> np.ndarray:
    """The full picture of one pose, BGR."""
    layer = engine.draw(dict.fromkeys(CHANNELS, 0.0) | channels)
    picture = np.asarray(engine.base).copy()
    height, width = layer.pixels.shape[:2]
    picture[layer.y : layer.y + height, layer.x : layer.x + width] = layer.pixels
    return picture
