"""Strands and curls: hair as many tapered strokes, scattered by a fixed seed. Used by the compiler."""

from __future__ import annotations

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Curls, Strands
from avatar.engines.rig.geometry import Points

_STEPS = 9


def _guide(text: str) -> Points:
    """A guide curve at nine points, evenly spaced along it."""
    dense = geometry.sample(geometry.bezier(*geometry.knots(text), closed=False), 24)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    at = np.linspace(0.0, along[-1], _STEPS)
    return _between(dense, along, at)


def _between(points: Points, where: Points, at: Points) -> Points:
    """Points (n, 2) known at `where` (n,), interpolated at `at` (m,) → (m, 2)."""
    return np.stack([np.interp(at, where, points[:, k]) for k in (0, 1)], axis=1)


def strand_outlines(art: Strands) -> dict[str, list[Points]]:
    """Outlines (control points) by colour; the same seed gives the same hair."""
    rng = np.random.default_rng(art.seed)
    first, last = _guide(art.first), _guide(art.last)
    outlines: dict[str, list[Points]] = {}
    for index in range(art.count):
        share = (index + 0.5 + rng.uniform(-0.5, 0.5) * art.jitter) / art.count
        drift = share + np.linspace(0.0, rng.uniform(-1.2, 1.2) * art.jitter / art.count, _STEPS)
        line: Points = first + (last - first) * drift[:, None]
        start, end = rng.uniform(0.0, 0.22) * art.jitter, 1.0 - rng.uniform(0.0, 0.30) * art.jitter
        line = _between(line, np.linspace(0.0, 1.0, _STEPS), np.linspace(start, end, 7))
        control = geometry.taper(line, art.width * rng.uniform(0.45, 1.0))
        outlines.setdefault(art.colours[index % len(art.colours)], []).append(control)
    return outlines


def curl_outlines(art: Curls, mask: skia.Path) -> dict[str, list[Points]]:
    """Small arcs inside `mask`, by colour."""
    rng = np.random.default_rng(art.seed)
    box = mask.getBounds()
    outlines: dict[str, list[Points]] = {}
    placed = 0
    for _ in range(art.count * 20):
        if placed == art.count:
            break
        x, y = rng.uniform(box.left(), box.right()), rng.uniform(box.top(), box.bottom())
        start, radius = rng.uniform(0, 2 * np.pi), art.radius * rng.uniform(0.6, 1.0)
        rim = ((radius, 0.0), (-radius, 0.0), (0.0, radius), (0.0, -radius))
        if not all(mask.contains(x + dx, y + dy) for dx, dy in rim):
            continue
        angles = start + np.linspace(0.0, rng.uniform(2.0, 3.2), 4)
        arc = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)
        tint = art.colours[placed % len(art.colours)]
        outlines.setdefault(tint, []).append(geometry.taper(arc, art.width))
        placed += 1
    return outlines
