"""Computes the matrix from a frame to the crop of the face that LatentSync's networks take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Smoothing = Literal["published", "steady"]
"""How the alignment follows the face over time.

published: as the original does it, which moves the crop by less than a pixel and smooths next to nothing.
steady: landmarks are not rounded, and small movements of them (their noise) are averaged over frames.
"""

TEMPLATE = np.array([[17.0, 20.0], [58.0, 20.0], [37.5, 40.0]])
"""Left brow, right brow, nose; times `ratio` they are pixels of the crop."""
CROP_UNITS = (75, 100)


def ratio(side_px: int) -> float:
    """Pixels of the crop per unit of the template, for networks that work at `side_px`."""
    return side_px / 256 * 2.8


def crop_size(side_px: int) -> tuple[int, int]:
    """(width, height) of the crop in pixels: 420 x 560 at 512. It is squeezed to a square afterwards."""
    return int(CROP_UNITS[0] * ratio(side_px)), int(CROP_UNITS[1] * ratio(side_px))


def similarity(source: Floats, target: Floats) -> tuple[Floats, Floats]:
    """The (2, 3) turn, scale and shift that brings `source` (n, 2) to `target`, and the bias (2,) that stays.

    Orthogonal Procrustes of both sets, divided by their spread (over all numbers, unbiased). The bias is the
    distance of the last points in those units.
    """
    centre_a, centre_b = source.mean(axis=0), target.mean(axis=0)
    a, b = source - centre_a, target - centre_b
    spread_a, spread_b = a.std(ddof=1), b.std(ddof=1)
    u, _, vt = np.linalg.svd((a / spread_a).T @ (b / spread_b))
    turn = vt.T @ u.T
    if np.linalg.det(turn) < 0:
        vt[-1] *= -1
        turn = vt.T @ u.T
    scaled = spread_b / spread_a * turn
    matrix = np.column_stack([scaled, centre_b - scaled @ centre_a])
    return matrix, b[-1] / spread_b - a[-1] / spread_a


@dataclass(slots=True)
class Aligner:
    """Follows one face through one clip; a clip begins with a new one."""

    side_px: int
    smoothing: Smoothing = "steady"
    _bias: Floats | None = None
    _anchors: Floats | None = None

    def matrix(self, anchors: Floats) -> Floats:
        """(2, 3) from frame to crop, of the anchors (3, 2) left brow, right brow, nose in frame pixels."""
        seen = np.round(anchors) if self.smoothing == "published" else self._steadied(anchors)
        matrix, bias = similarity(seen, TEMPLATE * ratio(self.side_px))
        self._bias = bias if self._bias is None else 0.2 * self._bias + 0.8 * bias
        matrix[:, 2] += self._bias
        return matrix

    def _steadied(self, anchors: Floats) -> Floats:
        """Movement below a hundredth of the face is mostly noise; above it the face is followed at once."""
        if self._anchors is None:
            self._anchors = anchors
            return anchors
        face = float(np.linalg.norm(anchors[1] - anchors[0])) + 1e-6
        moved = float(np.abs(anchors - self._anchors).max()) / face
        follow = min(1.0, 0.35 + moved / 0.02)
        self._anchors = self._anchors + follow * (anchors - self._anchors)
        return self._anchors
