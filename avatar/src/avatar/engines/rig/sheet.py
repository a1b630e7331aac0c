"""Artwork compiled to Bézier control points, and drawn in any pose. Used by the figure for everything but eyes and mouth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Art, Curls, Fill, Shape, Strands
from avatar.engines.rig.geometry import Points
from avatar.engines.rig.paint import paint, shader
from avatar.engines.rig.pose import CHIN_DROP, Pose, jaw_weight, surface


@dataclass(frozen=True, slots=True)
class Piece:
    """One draw call: contours of control points, all with one paint."""

    contours: tuple[Points, ...]
    closed: bool
    fill: Fill
    stroke: float
    lift: float
    depth: float
    swing: float
    jaw: float


def _contours(path: skia.Path) -> tuple[Points, ...]:
    """The contours of any skia path as cubic control points."""
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


def _outline(shape: Shape) -> Points:
    points, corners = geometry.knots(shape.outline)
    if shape.mirror == "half":
        on_axis = np.abs(points[:, 0]) < 1e-6
        back = np.flatnonzero(~on_axis)[::-1]
        points = np.concatenate([points, geometry.mirrored(points[back])])
        corners = np.concatenate([corners, corners[back]])
    control = geometry.bezier(points, corners, shape.closed)
    if shape.taper > 0:
        return geometry.tapered(geometry.sample(control, 5), shape.taper)
    return control


def _strands(art: Strands) -> list[tuple[Points, str]]:
    """Tapered strokes between the guides; the same seed gives the same hair."""
    rng = np.random.default_rng(art.seed)
    guides = []
    for text in (art.first, art.last):
        control = geometry.bezier(*geometry.knots(text), closed=False)
        dense = geometry.sample(control, 24)
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
        at = np.linspace(0.0, along[-1], 9)
        guides.append(np.stack([np.interp(at, along, dense[:, k]) for k in (0, 1)], axis=1))
    result = []
    for index in range(art.count):
        share = (index + 0.5 + rng.uniform(-0.5, 0.5) * art.jitter) / art.count
        drift = share + np.linspace(0.0, rng.uniform(-0.6, 0.6) * art.jitter / art.count * 2, 9)
        line = guides[0] * (1 - drift[:, None]) + guides[1] * drift[:, None]
        first, last = rng.uniform(0.0, 0.22) * art.jitter, 1.0 - rng.uniform(0.0, 0.30) * art.jitter
        cut = np.linspace(first, last, 7) * 8
        line = np.stack([np.interp(cut, np.arange(9), line[:, k]) for k in (0, 1)], axis=1)
        width = art.width * rng.uniform(0.45, 1.0)
        result.append((geometry.tapered(line, width), art.colours[index % len(art.colours)]))
    return result


def _cut(contours: Sequence[Points], by: skia.Path) -> tuple[Points, ...]:
    whole = skia.Path()
    for control in contours:
        geometry.add(whole, control)
    cut = skia.Op(whole, by, skia.PathOp.kIntersect_PathOp)
    return () if cut is None else _contours(cut)


class Sheet:
    """A list of pieces with their depths; immutable after compiling, safe to draw from several threads."""

    def __init__(self, art: Iterable[Art], masks: dict[str, skia.Path] | None = None) -> None:
        self.masks: dict[str, skia.Path] = dict(masks or {})
        self.pieces: list[Piece] = []
        for item in art:
            if isinstance(item, Strands):
                self._add_strands(item)
            elif isinstance(item, Curls):
                self._add_curls(item)
            else:
                self._add_shape(item)
        contours = [control for piece in self.pieces for control in piece.contours]
        self._points = np.concatenate(contours) if contours else np.zeros((0, 2))
        sizes = [sum(len(c) for c in piece.contours) for piece in self.pieces]

        def column(name: str) -> npt.NDArray[np.float64]:
            return np.repeat([float(getattr(piece, name)) for piece in self.pieces], sizes)

        self._depth = surface(self._points) * column("lift") + column("depth")
        self._jaw = column("jaw") * jaw_weight(self._points[:, 1]) * CHIN_DROP
        fall = np.clip((self._points[:, 1] + 40.0) / 200.0, 0.0, 1.3)
        self._swing = column("swing") * fall * fall
        self._paints = [paint(piece.fill, piece.stroke) for piece in self.pieces]
        self._anchors = np.array([self._anchor(piece) for piece in self.pieces]).reshape(-1, 2)
        self._anchor_depth = surface(self._anchors) * np.array(
            [p.lift for p in self.pieces]
        ) + np.array([p.depth for p in self.pieces])
        self._still = [self._path(piece, piece.contours) for piece in self.pieces]

    @staticmethod
    def _anchor(piece: Piece) -> tuple[float, float]:
        """The point whose movement a gradient follows."""
        fill = piece.fill
        if isinstance(fill, str):
            return (0.0, 0.0)
        if hasattr(fill, "centre"):
            return fill.centre
        return ((fill.start[0] + fill.end[0]) / 2, (fill.start[1] + fill.end[1]) / 2)

    @staticmethod
    def _path(piece: Piece, contours: Iterable[Points]) -> skia.Path:
        path = skia.Path()
        for control in contours:
            geometry.add(path, control, piece.closed)
        return path

    def _add_shape(self, shape: Shape) -> None:
        outlines = [_outline(shape)]
        if shape.mirror == "twin":
            outlines.append(geometry.mirrored(outlines[0]))
        contours: tuple[Points, ...] = tuple(outlines)
        if shape.inside:
            contours = _cut(contours, self.masks[shape.inside])
        closed = shape.closed or shape.taper > 0
        stroke = 0.0 if shape.taper > 0 else shape.stroke
        piece = Piece(
            contours, closed, shape.fill, stroke, shape.lift, shape.depth, shape.swing, shape.jaw
        )
        if shape.name:
            self.masks[shape.name] = self._path(piece, contours)
        if shape.mirror == "twin" and not isinstance(shape.fill, str):
            self._add_twin(piece)
        elif contours:
            self.pieces.append(piece)

    def _add_twin(self, piece: Piece) -> None:
        """Two pieces, because a gradient has to be mirrored too."""
        half = len(piece.contours) // 2
        fill = piece.fill
        if isinstance(fill, str):
            raise TypeError("a flat fill needs no mirrored twin")
        if hasattr(fill, "centre"):
            other: Fill = replace(fill, centre=(-fill.centre[0], fill.centre[1]))
        else:
            other = replace(fill, start=(-fill.start[0], fill.start[1]), end=(-fill.end[0], fill.end[1]))
        self.pieces.append(replace(piece, contours=piece.contours[:half]))
        self.pieces.append(replace(piece, contours=piece.contours[half:], fill=other))

    def _add_strands(self, art: Strands) -> None:
        by_colour: dict[str, list[Points]] = {}
        for control, tint in _strands(art):
            by_colour.setdefault(tint, []).append(control)
            if art.mirror == "twin":
                by_colour[tint].append(geometry.mirrored(control))
        for tint, contours in by_colour.items():
            kept = _cut(contours, self.masks[art.inside]) if art.inside else tuple(contours)
            if kept:
                self.pieces.append(Piece(kept, True, tint, 0.0, art.lift, art.depth, art.swing, 0.0))

    def _add_curls(self, art: Curls) -> None:
        mask = self.masks[art.inside]
        box = mask.getBounds()
        rng = np.random.default_rng(art.seed)
        by_colour: dict[str, list[Points]] = {}
        placed = 0
        for _ in range(art.count * 20):
            if placed == art.count:
                break
            x, y = rng.uniform(box.left(), box.right()), rng.uniform(box.top(), box.bottom())
            start, radius = rng.uniform(0, 2 * np.pi), art.radius * rng.uniform(0.6, 1.0)
            rim = ((radius, 0.0), (-radius, 0.0), (0.0, radius), (0.0, -radius))
            if not all(mask.contains(x + dx, y + dy) for dx, dy in rim):
                continue
            angles = start + np.linspace(0.0, rng.uniform(2.2, 4.0), 5)
            arc = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)
            tint = art.colours[placed % len(art.colours)]
            by_colour.setdefault(tint, []).append(geometry.tapered(arc, art.width))
            placed += 1
        for tint, contours in by_colour.items():
            self.pieces.append(Piece(tuple(contours), True, tint, 0.0, art.lift, art.depth, 0.0, art.jaw))

    def draw_still(self, canvas: skia.Canvas) -> None:
        """Draw as compiled, without a turn: for the body."""
        for path, brush in zip(self._still, self._paints, strict=True):
            canvas.drawPath(path, brush)

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        """Draw turned by the pose; roll and sway are the canvas's business."""
        moved = self._points.copy()
        moved[:, 1] += self._jaw * pose["jaw"]
        turned = pose.turn(moved, self._depth)
        turned[:, 0] += self._swing * pose.swing
        shift = pose.turn(self._anchors, self._anchor_depth) - self._anchors if self.pieces else self._anchors
        at = 0
        for index, piece in enumerate(self.pieces):
            path = skia.Path()
            for control in piece.contours:
                geometry.add(path, turned[at : at + len(control)], piece.closed)
                at += len(control)
            brush = self._paints[index]
            if not isinstance(piece.fill, str):
                brush = skia.Paint(brush)
                drop = piece.jaw * pose["jaw"] * float(jaw_weight(self._anchors[index, 1:])[0]) * CHIN_DROP
                brush.setShader(shader(piece.fill, float(shift[index, 0]), float(shift[index, 1]) + drop))
            canvas.drawPath(path, brush)
