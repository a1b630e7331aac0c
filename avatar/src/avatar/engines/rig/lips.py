"""The edges of the lips: the one place that turns channels into an opening. Used by the mouth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avatar.engines.rig.artwork import Mouth
from avatar.engines.rig.geometry import Points
from avatar.engines.rig.pose import Pose

UNITS = 100.0
"""Units per E."""
JAW, LOW, RAISE = 0.20 * UNITS, 0.14 * UNITS, 0.055 * UNITS
"""How far each channel parts the lips at 1: the terms of `avatar.tracks.aperture_e`, in units."""
SPREAD, PUCKER = 0.21, 0.46
"""How much the mouth widens at wide = +1 and narrows at -1."""

# Dense at the corners, where the edges are steep.
T = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 17))
MIDDLE = 8
_ABS = np.abs(T)
_UPPER = np.clip(1.0 - _ABS**2.5, 0.0, 1.0) ** 0.55
_LOWER = np.clip(1.0 - _ABS**3.0, 0.0, 1.0) ** 0.45
_LOWER_WIDE_OPEN = np.clip(1.0 - _ABS**2.7, 0.0, 1.0) ** 0.50
_FULL = np.clip(1.0 - _ABS**2.6, 0.0, 1.0) ** 0.52
_BOW = np.interp(_ABS, [0.0, 0.10, 0.26, 0.45, 0.70, 0.90, 1.0], [0.84, 0.90, 1.0, 0.90, 0.58, 0.20, 0.0])
_WAVE = 0.9 * np.exp(-((T / 0.22) ** 2)) - 0.5 * np.exp(-(((_ABS - 0.42) / 0.2) ** 2))
_CORNER = _ABS**2.3
_OUTWARD = 1.3 * np.sign(T) * _ABS**6


@dataclass(frozen=True, slots=True)
class LipLines:
    """Edges of the lips from left to right, (17, 2) each, in mouth coordinates (origin between the lips)."""

    outer_upper: Points
    inner_upper: Points
    inner_lower: Points
    outer_lower: Points

    @property
    def half_width(self) -> float:
        return float(self.inner_upper[-1, 0])

    @property
    def roof(self) -> float:
        return float(self.inner_upper[MIDDLE, 1])

    @property
    def floor(self) -> float:
        return float(self.inner_lower[MIDDLE, 1])

    @property
    def chin_side(self) -> float:
        """The lower edge of the lower lip."""
        return float(self.outer_lower[MIDDLE, 1])


def lip_lines(style: Mouth, pose: Pose) -> LipLines:
    """The four edges. The inner ones part by `aperture_e` in the middle and touch when it is zero."""
    jaw, low, up = pose["jaw"], pose["low"], pose["raise"]
    pucker, spread = max(-pose["wide"], 0.0), max(pose["wide"], 0.0)
    drop = JAW * jaw + LOW * low
    opened = min(1.0, drop / 25.0)
    x = T * style.half_width * (1.0 + SPREAD * spread - PUCKER * pucker - 0.05 * jaw)
    smile = style.smile * (1.0 + 0.5 * spread - 0.9 * pucker) - 4.4 * jaw
    rest = _WAVE - smile * _CORNER
    upper = rest - RAISE * up * _UPPER
    lower = rest + drop * (_LOWER + opened * (_LOWER_WIDE_OPEN - _LOWER))
    plump = 1.0 + 0.28 * pucker - 0.10 * opened - 0.06 * spread
    top = style.upper_height * plump * (1.0 - 0.12 * up) * _BOW
    bottom = style.lower_height * plump * (1.0 - 0.50 * pose["tuck"]) * _FULL
    out = x + _OUTWARD
    return LipLines(
        np.stack([out, upper - top], axis=1),
        np.stack([x, upper], axis=1),
        np.stack([x, lower], axis=1),
        np.stack([out, lower + bottom], axis=1),
    )
