"""Curves: knots written as text become smooth Bézier outlines. Used by `pieces` and the moving parts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import skia

Points = npt.NDArray[np.float64]
"""Control points, float64 of shape (n, 2)."""


_VIEW = 900.0
"""Distance of the viewer for the size of what comes near, in units."""


def near(z: float) -> float:
    """Returns the scale of what is `z` units nearer to the viewer than the body."""
    return 1.0 + max(min(z, 300.0), -300.0) / _VIEW


def smoothstep(low: float, high: float, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Returns 0 below `low`, 1 above `high`, and a smooth way between, in the shape of `x`."""
    t = np.clip((np.asarray(x, np.float64) - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def knots(text: str) -> tuple[Points, npt.NDArray[np.bool_]]:
    """Read "x,y x,y! …": the points (n, 2) and which of them are corners (n,)."""
    words = text.split()
    corners = np.array([word.endswith("!") for word in words])
    points = np.array([[float(part) for part in word.rstrip("!").split(",")] for word in words])
    return points, corners


def mirror_points(points: Points) -> Points:
    """Left and right exchanged."""
    return np.asarray(points * np.array([-1.0, 1.0]))


def lower(line: Points, by: float) -> Points:
    return np.asarray(line + np.array([0.0, by]))


def bezier(points: Points, corners: npt.NDArray[np.bool_], closed: bool) -> Points:
    """A smooth cubic curve through `points`: (3 s + 1, 2) control points for s segments.

    Handles follow the chord-weighted tangent (chordal Catmull-Rom), so that uneven knots do not bulge.
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


@lru_cache(maxsize=64)
def _spline_matrix(count: int, corners: tuple[int, ...]) -> Points:
    """(3 count + 1, count): control points of a closed curve through even knots, as one matrix product.

    Uniform Catmull-Rom: what moves in every frame is sampled evenly, so chord weights would change nothing.
    """
    matrix = np.zeros((3 * count + 1, count))
    for k in range(count):
        after = (k + 1) % count
        matrix[3 * k, k] = matrix[3 * k + 1, k] = matrix[3 * k + 2, after] = 1.0
        if k not in corners:
            matrix[3 * k + 1, after] += 1 / 6
            matrix[3 * k + 1, k - 1] -= 1 / 6
        if after not in corners:
            matrix[3 * k + 2, k] += 1 / 6
            matrix[3 * k + 2, (after + 1) % count] -= 1 / 6
    matrix[3 * count, 0] = 1.0
    return matrix


def loop(points: Points, corners: tuple[int, ...] = ()) -> Points:
    """A closed curve through evenly spaced points (n, 2), as control points; `corners` are indices."""
    return _spline_matrix(len(points), corners) @ points


def band(upper: Points, lower: Points) -> Points:
    """The closed outline between two edges that run the same way: lids, lips, teeth."""
    n, m = len(upper), len(lower)
    return loop(np.concatenate([upper, lower[::-1]]), (0, n - 1, n, n + m - 1))


@lru_cache(maxsize=64)
def _swell(count: int, start: float, end: float) -> tuple[Points, Points]:
    """Central differences (n, n) and half widths (n, 1) of a stroke with `count` points."""
    differences = np.zeros((count, count))
    for k in range(count):
        differences[k, min(k + 1, count - 1)] += 1.0
        differences[k, max(k - 1, 0)] -= 1.0
    t = np.linspace(0.0, 1.0, count)
    profile = np.maximum(np.sin(np.pi * t) ** 0.7, np.where(t < 0.5, start, end)) / 2
    return differences, profile[:, None]


def taper(line: Points, width: float, start: float = 0.0, end: float = 0.0) -> Points:
    """The closed outline (control points) of a stroke that swells to `width` and thins out to its ends.

    `start` and `end` are the fractions of `width` left at the ends.
    """
    differences, profile = _swell(len(line), start, end)
    steps = differences @ line
    length = np.maximum(np.hypot(steps[:, :1], steps[:, 1:]), 1e-9)
    across = np.concatenate([-steps[:, 1:], steps[:, :1]], axis=1) / length * (profile * width)
    return band(line + across, line - across)


def path(control: Points, closed: bool = True, counts: tuple[int, ...] = ()) -> skia.Path:
    """A skia path of Bézier control points (3 s + 1, 2); of several contours with so many `counts` of points.

    It is read as a serialised path, in one call: point by point took a tenth of a picture's time.
    """
    before, after = _around_points(counts or (len(control),), closed)
    result = skia.Path()
    result.readFromMemory(before + control.astype("<f4").tobytes() + after)
    return result


@lru_cache(maxsize=1024)
def _around_points(counts: tuple[int, ...], closed: bool) -> tuple[bytes, bytes]:
    """Returns what skia writes before and after the points of such contours, in a serialised path."""
    example, points = skia.Path(), np.arange(2 * sum(counts), dtype="<f4").reshape(-1, 2)
    for contour in np.split(points, np.cumsum(counts)[:-1]):
        first, *others = contour.tolist()
        example.moveTo(*first)
        for one, two, end in zip(others[::3], others[1::3], others[2::3], strict=True):
            example.cubicTo(*one, *two, *end)
        if closed:
            example.close()
    before, _, after = bytes(example.serialize()).partition(points.tobytes())
    return before, after
