"""Artwork compiled to pieces: Bézier outlines, mirrored and cut, with one paint each. Used by `sheet`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Art, Curls, Fill, Linear, Radial, Shape, Strands
from avatar.engines.rig.geometry import Points
from avatar.engines.rig.textures import View, brush

_STEPS = 9
SPLIT_UP_TO = 8
"""Contours of a piece; more of them are small ones, as curls, which are drawn faster together."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One draw call: contours of control points, all with one paint. The rest is as in `artwork.Shape`."""

    contours: tuple[Points, ...]
    fill: Fill
    closed: bool = True
    stroke: float = 0.0
    lift: float = 1.0
    depth: float = 0.0
    swing: float = 0.0
    jaw: float = 0.0

    @property
    def anchor(self) -> tuple[float, float]:
        """The point whose movement a gradient follows."""
        if isinstance(self.fill, Radial):
            return self.fill.centre
        if isinstance(self.fill, Linear):
            (ax, ay), (bx, by) = self.fill.start, self.fill.end
            return ((ax + bx) / 2, (ay + by) / 2)
        points = np.concatenate(self.contours)
        x, y = ((points.min(axis=0) + points.max(axis=0)) / 2).tolist()
        return (x, y)

    def split(self) -> list[Piece]:
        """Returns pieces that look as this one: skia fills single contours faster. Where some overlap, what
        shows through would count twice.
        """
        if not 1 < len(self.contours) <= SPLIT_UP_TO or self.stroke > 0:
            return [self]
        alone = [_whole((control,)) for control in self.contours]
        if any(_overlap(one, other) for one, other in combinations(alone, 2)):
            return [self]
        return [replace(self, contours=(control,)) for control in self.contours]

    def brush(self, view: View | None) -> skia.Paint:
        """Returns its paint, where the piece lies at rest."""
        return brush(self.fill, self.contours, self.stroke, view)

    @property
    def path(self) -> skia.Path:
        """The piece as it lies in the artwork."""
        return _whole(self.contours, self.closed)


class MovingArt:
    """Draws pieces whose points move; fills go along with their shapes, but are not turned with them."""

    def __init__(self, pieces: Sequence[Piece], view: View | None = None) -> None:
        pieces = [part for piece in pieces for part in piece.split()]
        self.pieces = pieces
        """As they are drawn."""
        self.brushes = [piece.brush(view) for piece in pieces]
        contours = [control for piece in pieces for control in piece.contours]
        anchors = np.array([piece.anchor for piece in pieces]).reshape(-1, 2)
        self.points = np.concatenate([*contours, anchors])
        """Every control point at rest, and after them the anchors of the fills, (n, 2)."""
        self._counts = [tuple(map(len, piece.contours)) for piece in pieces]
        self._sizes = [sum(counts) for counts in self._counts]
        self.outlined = sum(self._sizes)
        """How many of the points are control points."""
        ends = np.cumsum([0, *self._sizes]).tolist()
        self._slices = [slice(first, last) for first, last in pairwise(ends)]

    def draw(self, canvas: skia.Canvas, points: Points) -> None:
        """Draw with these in the place of `points`."""
        first = self.outlined
        shift = points[first:] - self.points[first:]
        outlines = (points[:first] - np.repeat(shift, self._sizes, axis=0)).astype("<f4")
        for piece, paint, part, counts, (dx, dy) in zip(
            self.pieces, self.brushes, self._slices, self._counts, shift.tolist(), strict=True
        ):
            # The canvas moves, and the fill with it: another matrix in the shader costs a copy of it.
            canvas.save()
            canvas.translate(dx, dy)
            canvas.drawPath(geometry.path(outlines[part], piece.closed, counts), paint)
            canvas.restore()


def compile_pieces(art: Iterable[Art], masks: dict[str, skia.Path]) -> list[Piece]:
    """Pieces in drawing order. Named shapes are added to `masks`; `inside` looks its shape up there."""
    pieces: list[Piece] = []
    for item in art:
        if isinstance(item, Shape):
            pieces += _shape(item, masks)
        elif isinstance(item, Strands):
            for tint, contours in strand_outlines(item).items():
                pieces.append(
                    Piece(tuple(contours), tint, lift=item.lift, depth=item.depth, swing=item.swing)
                )
        else:
            for tint, contours in curl_outlines(item, masks[item.inside]).items():
                pieces.append(Piece(tuple(contours), tint, lift=item.lift, depth=item.depth, jaw=item.jaw))
    return pieces


def _shape(shape: Shape, masks: dict[str, skia.Path]) -> list[Piece]:
    outline = _outline(shape)
    outlines = [outline, geometry.mirror_points(outline)] if shape.mirror == "twin" else [outline]
    result = []
    for index, control in enumerate(outlines):
        contours: tuple[Points, ...] = (control,)
        if shape.inside:
            contours = _cut(contours, masks[shape.inside])
        if contours:
            result.append(
                Piece(
                    contours,
                    _mirrored_fill(shape.fill) if index else shape.fill,
                    closed=shape.closed or shape.taper > 0,
                    stroke=0.0 if shape.taper > 0 else shape.stroke,
                    lift=shape.lift, depth=shape.depth, swing=shape.swing, jaw=shape.jaw,
                )
            )  # fmt: skip
    if isinstance(shape.fill, str) and len(result) == 2:
        # A flat colour has no sides: both copies are one draw call.
        result = [replace(result[0], contours=result[0].contours + result[1].contours)]
    if shape.name:
        mask = skia.Path()
        for piece in result:
            mask.addPath(piece.path)
        masks[shape.name] = mask
    return result


def _outline(shape: Shape) -> Points:
    points, corners = geometry.knots(shape.outline)
    if shape.mirror == "half":
        back = np.flatnonzero(np.abs(points[:, 0]) > 1e-6)[::-1]
        points = np.concatenate([points, geometry.mirror_points(points[back])])
        corners = np.concatenate([corners, corners[back]])
    control = geometry.bezier(points, corners, shape.closed)
    if shape.taper > 0:
        return geometry.taper(geometry.sample(control, 4), shape.taper)
    return control


def _mirrored_fill(fill: Fill) -> Fill:
    if isinstance(fill, Radial):
        return replace(fill, centre=(-fill.centre[0], fill.centre[1]))
    if isinstance(fill, Linear):
        return replace(fill, start=(-fill.start[0], fill.start[1]), end=(-fill.end[0], fill.end[1]))
    return fill


def _whole(contours: Sequence[Points], closed: bool = True) -> skia.Path:
    return geometry.path(np.concatenate(contours), closed, tuple(map(len, contours)))


def _overlap(first: skia.Path, second: skia.Path) -> bool:
    if not first.getBounds().intersects(second.getBounds()):
        return False
    both = skia.Op(first, second, skia.PathOp.kIntersect_PathOp)
    return both is None or not both.isEmpty()


def _cut(contours: Sequence[Points], by: skia.Path) -> tuple[Points, ...]:
    cut = skia.Op(_whole(contours), by, skia.PathOp.kIntersect_PathOp)
    return () if cut is None else _contours(cut)


def _contours(path: skia.Path) -> tuple[Points, ...]:
    """The contours of any skia path as cubic control points: lines and quadratics are raised to cubics."""
    done: list[Points] = []
    run: list[tuple[float, float]] = []
    for verb, raw in path:
        points = [(p.x(), p.y()) for p in raw]
        if verb == skia.Path.kMove_Verb:
            if len(run) > 1:
                done.append(np.array(run))
            run = [points[0]]
        elif verb == skia.Path.kLine_Verb:
            (ax, ay), (bx, by) = points[0], points[1]
            run += [((2 * ax + bx) / 3, (2 * ay + by) / 3), ((ax + 2 * bx) / 3, (ay + 2 * by) / 3), (bx, by)]
        elif verb in (skia.Path.kQuad_Verb, skia.Path.kConic_Verb):
            (ax, ay), (cx, cy), (bx, by) = points[0], points[1], points[2]
            run += [((ax + 2 * cx) / 3, (ay + 2 * cy) / 3), ((bx + 2 * cx) / 3, (by + 2 * cy) / 3), (bx, by)]
        elif verb == skia.Path.kCubic_Verb:
            run += points[1:4]
    if len(run) > 1:
        done.append(np.array(run))
    return tuple(done)


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
