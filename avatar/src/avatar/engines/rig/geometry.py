"""Curves: knots written as text become smooth Bézier outlines. Used by the rig's compiler and its moving parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import skia

Points = npt.NDArray[np.float64]
"""Control points, float64 of shape (n, 2)."""


def knots(text: str) -> tuple[Points, npt.NDArray[np.bool_]]:
    """Read "x,y x,y! …": the points (n, 2) and which of them are corners (n,)."""
    words = text.split()
    corners = np.array([word.endswith("!") for word in words])
    points = np.array([[float(part) for part in word.rstrip("!").split(",")] for word in words])
    return points, corners


def mirrored(points: Points) -> Points:
    return points * np.array([-1.0, 1.0])


def bezier(points: Points, corners: npt.NDArray[np.bool_], closed: bool) -> Points:
    """A smooth cubic curve through `points`: (3 s + 1, 2) control points for s segments.

    Handles follow the chord-weighted tangent (Catmull-Rom with chordal spacing), so that uneven knots do not bulge.
    """
    count = len(points)
    before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
    if not closed:
        before[0], after[-1] = points[0], points[-1]
    d_in = np.linalg.norm(points - before, axis=1, keepdims=True)
    d_out = np.linalg.norm(after - points, axis=1, keepdims=True)
    total = np.maximum(d_in + d_out, 1e-9)
    slope = (points - before) / np.maximum(d_in, 1e-9) * (d_out / total)
    slope = slope + (after - points) / np.maximum(d_out, 1e-9) * (d_in / total)
    if not closed:
        slope[0] = slope[-1] = 0.0
    slope[corners] = 0.0
    segments = count if closed else count - 1
    starts = np.arange(segments)
    ends = (starts + 1) % count
    chord = np.linalg.norm(points[ends] - points[starts], axis=1, keepdims=True) / 3.0
    out = np.empty((3 * segments + 1, 2))
    out[0] = points[0]
    out[1::3] = points[starts] + slope[starts] * chord
    out[2::3] = points[ends] - slope[ends] * chord
    out[3::3] = points[ends]
    return out


def sample(control: Points, per_segment: int) -> Points:
    """Points along a Bézier curve, `per_segment` for each cubic, and the last point."""
    t = np.linspace(0.0, 1.0, per_segment, endpoint=False)[None, :, None]
    a, b, c, d = (control[k : len(control) - 3 + k : 3][:, None, :] for k in range(4))
    curve = a * (1 - t) ** 3 + 3 * b * t * (1 - t) ** 2 + 3 * c * t**2 * (1 - t) + d * t**3
    return np.concatenate([curve.reshape(-1, 2), control[-1:]])


def smooth(points: Points, closed: bool = False) -> Points:
    """`bezier` without corners."""
    return bezier(points, np.zeros(len(points), dtype=bool), closed)


def tapered(line: Points, width: float, start: float = 0.0, end: float = 0.0) -> Points:
    """The closed outline (as Bézier control points) of a stroke that swells to `width` and thins out to its ends.

    `start` and `end` are the fractions of `width` left at the ends.
    """
    steps = np.gradient(line, axis=0)
    normal = np.stack([-steps[:, 1], steps[:, 0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    t = np.linspace(0.0, 1.0, len(line))
    swell = np.sin(np.pi * t) ** 0.7
    profile = np.maximum(swell, np.where(t < 0.5, start, end)) * width / 2
    ring = np.concatenate([line + normal * profile[:, None], (line - normal * profile[:, None])[::-1]])
    corners = np.zeros(len(ring), dtype=bool)
    corners[[0, len(line) - 1, len(line), -1]] = True
    return bezier(ring, corners, closed=True)


def path(control: Points, closed: bool = True) -> skia.Path:
    """A skia path of Bézier control points (3 s + 1, 2)."""
    result = skia.Path()
    add(result, control, closed)
    return result


def add(target: skia.Path, control: Points, closed: bool = True) -> None:
    """Append one contour to a path."""
    flat = control.ravel().tolist()
    target.moveTo(flat[0], flat[1])
    cubic = target.cubicTo
    for at in range(2, len(flat) - 5, 6):
        cubic(*flat[at : at + 6])
    if closed:
        target.close()
