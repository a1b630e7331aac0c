"""The shape of a mouth as smooth curves v(u), fitted to the lip landmarks; read by the mouth fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avatar.engines.mesh.axes import FaceAxes, Floats
from avatar.face.landmarks import (
    CHIN,
    LOWER_INNER_LIP,
    LOWER_OUTER_LIP,
    NOSE_BASE,
    UPPER_INNER_LIP,
    UPPER_OUTER_LIP,
    Points,
)


@dataclass(frozen=True, slots=True)
class LipCurve:
    """v(u): a straight line between the corners plus (1 - t^2) times a cubic, t running from -1 to 1.

    The ends are pinned at the corners and the bulge is smooth: splines through raw landmarks show a cusp.
    """

    left: Floats
    right: Floats
    bulge: Floats

    @classmethod
    def fit(cls, uv: Floats) -> LipCurve:
        """Through a row of (u, v) points (n, 2), the first and last being the corners."""
        left, right = uv[0], uv[-1]
        curve = cls(left, right, np.zeros(4, np.float32))
        t = curve.t(uv[1:-1, 0])
        ends = 1 - t**2
        matrix = np.stack([ends, ends * t, ends * t**2, ends * t**3], axis=1).astype(np.float64)
        rest = (uv[1:-1, 1] - curve.line(uv[1:-1, 0])).astype(np.float64)
        # A little ridge: with few points the two higher terms would follow landmark noise.
        normal = matrix.T @ matrix + np.diag([1e-6, 1e-6, 1e-2, 1e-2])
        bulge = np.linalg.solve(normal, matrix.T @ rest)
        return cls(left, right, bulge.astype(np.float32))

    def t(self, u: Floats) -> Floats:
        centre, half = (self.left[0] + self.right[0]) / 2, (self.right[0] - self.left[0]) / 2
        return np.asarray((u - centre) / np.maximum(half, np.float32(1e-4)), np.float32)

    def line(self, u: Floats) -> Floats:
        """The corner line, going on outside the corners at a third of its slope."""
        t = self.t(u)
        return self._line(t, np.clip(t, -1, 1))

    def _line(self, t: Floats, clipped: Floats) -> Floats:
        inside = clipped + (t - clipped) / 3
        return np.asarray(
            (self.left[1] + self.right[1]) / 2 + inside * (self.right[1] - self.left[1]) / 2, np.float32
        )

    def __call__(self, u: Floats) -> Floats:
        at = self.t(u)
        t = np.clip(at, -1, 1)
        b = self.bulge
        bulge = (1 - t**2) * (b[0] + t * (b[1] + t * (b[2] + t * b[3])))
        return np.asarray(self._line(at, t) + bulge, np.float32)


@dataclass(frozen=True, slots=True)
class MouthShape:
    """A mouth in face axes (E). `half_width` is that of the INNER lips: every opening must vanish there."""

    axes: FaceAxes
    centre: float
    half_width: float
    upper: LipCurve
    lower: LipCurve
    upper_outer: LipCurve
    lower_outer: LipCurve
    chin_v: float
    nose_v: float

    @classmethod
    def of(cls, points: Points) -> MouthShape:
        """From landmarks (478, 3); the origin of its axes is the middle between the inner corners."""
        corners = points[[UPPER_INNER_LIP[0], UPPER_INNER_LIP[-1]], :2]
        axes = FaceAxes.of(points, corners.mean(axis=0))
        local = axes.to_local(points[:, :2])
        upper, lower = (LipCurve.fit(local[list(row)]) for row in (UPPER_INNER_LIP, LOWER_INNER_LIP))
        return cls.between(axes, local, upper, lower)

    @classmethod
    def between(cls, axes: FaceAxes, local: Floats, upper: LipCurve, lower: LipCurve) -> MouthShape:
        """Around an inner lip line that is known already; `local` are the landmarks (478, 2) in `axes`."""
        upper_outer, lower_outer = (
            LipCurve.fit(local[list(row)]) for row in (UPPER_OUTER_LIP, LOWER_OUTER_LIP)
        )
        return cls(
            axes=axes,
            centre=float(upper.left[0] + upper.right[0]) / 2,
            half_width=max(0.05, float(upper.right[0] - upper.left[0]) / 2),
            upper=upper,
            lower=lower,
            upper_outer=upper_outer,
            lower_outer=lower_outer,
            chin_v=max(0.2, float(local[CHIN, 1])),
            nose_v=min(-0.1, float(local[NOSE_BASE, 1])),
        )

    def gap(self, u: Floats) -> Floats:
        """Opening between the inner lips in the picture itself, in E, never negative."""
        return np.asarray(np.maximum(0, self.lower(u) - self.upper(u)), np.float32)

    @property
    def rest_gap(self) -> float:
        """The opening at its widest, in E: above about 0.02 the person shows teeth or speaks."""
        u = np.linspace(-0.8, 0.8, 33, dtype=np.float32) * np.float32(self.half_width) + np.float32(
            self.centre
        )
        return float(self.gap(u).max())


def lip_line_v(shape: MouthShape) -> float:
    """v of the line where the lips of this face meet when shut: the upper lip's edge, let down a little."""
    middle = np.array([shape.centre], np.float32)
    return float(shape.upper(middle)[0] + min(0.42 * float(shape.gap(middle)[0]), 0.036))
