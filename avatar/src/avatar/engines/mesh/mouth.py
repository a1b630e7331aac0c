"""Draws a mouth anew in a picture: warps the skin around it and shows the interior between the lips.

Used by the photo engine (one model per portrait) and by the motion-video engine (one model per frame).
"""

from __future__ import annotations

import cv2
import numpy as np

from avatar.engines.mesh.axes import Floats, smoothstep
from avatar.engines.mesh.interior import MouthInterior
from avatar.engines.mesh.lips import MouthShape
from avatar.engines.mesh.mouth_fields import PUCKER_E, SPREAD_E, MouthBasis, MouthPose, mouth_basis
from avatar.engines.mesh.region import Region as Region
from avatar.face.landmarks import LEFT_EYE_LOWER, RIGHT_EYE_LOWER, Picture, Points

_CURVE_SAMPLES = 97
_TOOTHY_GAP_E = 0.022
_ROUNDED = 0.1
_NO_MAP = np.empty(0, np.float32)  # both coordinates are in the first map
_DEPTH, _WIDTH_E, _GONE_E = 0.6, 0.008, 0.03
_FULL_FROM_GAP_E = 0.04
_WARM = (1.0, 0.97, 0.78)  # a shadow between lips takes blue and green first


def draw_lip_line(patch: Picture, shape: MouthShape, u: Floats, upper_row: Floats, lower_row: Floats) -> None:
    """Darken `patch` (h, w, 3) BGR in place between the lip edges `upper_row` and `lower_row`, float32 (w,).

    Lips that are pulled together in a picture meet without a shadow: they look like one strip of skin, to
    people and to face trackers alike. u: place of each column in the axes of `shape`. Where the lips are
    apart, and for a mouth that was shut in the picture, nothing is drawn.
    """
    unit = shape.axes.unit_px
    depth = _DEPTH * float(np.clip(shape.rest_gap / _FULL_FROM_GAP_E, 0, 1))
    across = np.clip(1 - ((u - shape.centre) / shape.half_width) ** 4, 0, 1)
    dark = depth * across * np.clip(1 - (lower_row - upper_row) / (_GONE_E * unit), 0, 1)
    columns = np.flatnonzero(dark > 0.03)
    if not len(columns):
        return
    first, last = int(columns[0]), int(columns[-1]) + 1
    middle = (upper_row + lower_row)[first:last] / 2
    reach = 3 * _WIDTH_E * unit
    top, bottom = max(0, int(middle.min() - reach)), min(patch.shape[0], int(middle.max() + reach) + 1)
    rows = np.arange(top, bottom, dtype=np.float32)[:, None]
    line = np.exp(-0.5 * ((rows - middle) / max(0.6, _WIDTH_E * unit)) ** 2) * dark[first:last]
    view = patch[top:bottom, first:last]
    view[:] = (view * (1 - line[..., None] * np.array(_WARM, np.float32))).astype(np.uint8)


class MouthModel:
    """A mouth that can be posed.

        model = MouthModel.from_landmarks(image, landmarks)
        model.region.of(image)[:] = model.draw(MouthPose(jaw=0.6, wide=-0.4))

    `draw` changes nothing and may run in several threads. The patch equals the picture at its border to the
    last bit, so it can be pasted without a seam; its region ends below the eyes. For moving video make a
    model per frame and share one `MouthInterior`: teeth and colours must not change from frame to frame.
    """

    def __init__(
        self, patch: Picture, region: Region, shape: MouthShape, interior: MouthInterior, top_v: float
    ) -> None:
        self.region, self.shape, self.interior, self.top_v = region, shape, interior, top_v
        self._step = _grid_step(shape)
        self.rest_smile = -0.6 * smiling(shape)
        self._grid_basis = self._make_grid_basis(top_v)
        self._curve_u, self._curve_basis = self._make_curve_basis(top_v)
        self._upper_skin, self._lower_skin = self._make_layers(patch)
        self._columns = np.arange(region.width, dtype=np.float32)

    @classmethod
    def from_landmarks(
        cls, image: Picture, landmarks: Points, *, interior: MouthInterior | None = None
    ) -> MouthModel:
        """From a picture (h, w, 3) BGR and landmarks float32 (478, 3) in its pixels."""
        shape = MouthShape.of(landmarks)
        lids = shape.axes.to_local(landmarks[list(LEFT_EYE_LOWER + RIGHT_EYE_LOWER), :2])[:, 1].max()
        top_v = max(-0.46, 0.62 * float(lids))
        region = region_of(shape, top_v, image.shape[1], image.shape[0])
        patch = np.ascontiguousarray(region.of(image)[..., :3])
        return cls(patch, region, shape, interior or MouthInterior.from_picture(image, landmarks), top_v)

    def _local(self, x: Floats, y: Floats) -> Floats:
        """Pixels of the patch to (u, v)."""
        xy = np.stack([x + np.float32(self.region.x), y + np.float32(self.region.y)], axis=-1)
        return self.shape.axes.to_local(xy.astype(np.float32))

    def _window(self, uv: Floats, x: Floats, y: Floats, top_v: float) -> Floats:
        """1 around the mouth, exactly 0 at the border of the region."""
        u, v = uv[..., 0], uv[..., 1]
        local = 1 - smoothstep(0.70, 0.93, np.abs(u))
        local = local * smoothstep(top_v + 0.05, top_v + 0.2, v)
        margin, soft = 2.0 * self._step, 0.10 * self.shape.axes.unit_px
        right, bottom = self.region.width - 1 - x, self.region.height - 1 - y
        edge = np.minimum(np.minimum(x, right), np.minimum(y, bottom))
        return np.asarray(local * smoothstep(margin, margin + soft, edge), np.float32)

    def _basis_at(self, x: Floats, y: Floats, top_v: float) -> MouthBasis:
        """Basis in pixels of the picture: `across` is dx of both layers' u part, the rest dv as fields in
        E.
        """
        uv = self._local(x, y)
        return self._basis_within(uv, self._window(uv, x, y, top_v))

    def _basis_within(self, uv: Floats, window: Floats) -> MouthBasis:
        basis = mouth_basis(self.shape, uv[..., 0], uv[..., 1])
        return MouthBasis(basis.across * window, basis.upper * window, basis.lower * window)

    def _make_grid_basis(self, top_v: float) -> MouthBasis:
        """A node in the middle of each cell and one more all round: enlarging must not extrapolate."""
        step = self._step
        columns = (np.arange(-1, self.region.width // step + 1, dtype=np.float32) + 0.5) * step - 0.5
        rows = (np.arange(-1, self.region.height // step + 1, dtype=np.float32) + 0.5) * step - 0.5
        x, y = np.meshgrid(columns, rows)
        self._grid_x, self._grid_y = x, y
        return self._basis_at(x, y, top_v)

    def _make_curve_basis(self, top_v: float) -> tuple[tuple[Floats, Floats], tuple[MouthBasis, MouthBasis]]:
        """The lip edges as points and how each moves: they decide the masks and are followed exactly."""
        reach = np.linspace(-1.15, 1.15, _CURVE_SAMPLES, dtype=np.float32)
        # Denser near the corners, where the square-root profile is steep.
        half, centre = self.shape.half_width, self.shape.centre
        dense = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 61)).astype(np.float32) * np.float32(half)
        u = np.unique(np.concatenate([reach, dense])) + np.float32(centre)
        points, bases = [], []
        for curve in (self.shape.upper, self.shape.lower):
            pixels = self.shape.axes.to_pixels(np.stack([u, curve(u)], axis=-1))
            x, y = pixels[:, 0] - self.region.x, pixels[:, 1] - self.region.y
            points.append(np.stack([x, y]).astype(np.float32))
            bases.append(self._basis_at(x, y, top_v))
        return (points[0], points[1]), (bases[0], bases[1])

    def _make_layers(self, patch: Picture) -> tuple[Picture, Picture]:
        """The patch twice, with what lies beyond the lip edge overwritten by the colour of that edge.

        So teeth of a smiling source never ride on a lip. A closed source keeps its pixels but for the last
        row.
        """
        height, width = patch.shape[:2]
        inset = 0.010 * self.shape.axes.unit_px if self.shape.rest_gap > _TOOTHY_GAP_E else 0.0
        x = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width))
        y = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (height, width))
        layers = []
        for points, sign in zip(self._curve_u, (1.0, -1.0), strict=True):
            edge = np.interp(x[0], points[0], points[1]).astype(np.float32) - np.float32(sign * inset)
            local = self._local(x[0], edge)[:, 0]
            # Beyond the corners both layers keep the whole picture.
            free = smoothstep(
                0.98, 1.12, np.abs(local - self.shape.centre) / np.float32(self.shape.half_width)
            )
            edge = edge + np.float32(sign) * free * height
            clamped = np.minimum(y, edge) if sign > 0 else np.maximum(y, edge)
            layers.append(_remap(patch, np.ascontiguousarray(x), clamped.astype(np.float32)))
        return layers[0], layers[1]

    def edges(self, pose: MouthPose) -> tuple[Floats, Floats]:
        """Rows of the upper and lower lip edge in the drawn patch, one per column, float32 (width,), in
        pixels.

        Where they are equal the mouth is shut. Columns outside the mouth hold the line the layers meet on.
        """
        weights = pose.weights(self.rest_smile)
        rows = []
        for index, (points, basis) in enumerate(zip(self._curve_u, self._curve_basis, strict=True)):
            across, upper, lower = basis.mix(weights)
            dx, dy = self.shape.axes.vectors_to_pixels(across, lower if index else upper)
            x, y = points[0] + dx, points[1] + dy
            rows.append(np.interp(self._columns, x, y).astype(np.float32))
        upper_row, lower_row = rows
        return upper_row, np.maximum(lower_row, upper_row)

    def draw(self, pose: MouthPose) -> Picture:
        """The patch (region.height, region.width, 3) BGR in this pose."""
        height, width = self.region.height, self.region.width
        upper_row, lower_row = self.edges(pose)
        feather = self._feather(pose)
        top = int(max(0, np.floor((upper_row - feather).min())))
        bottom = int(min(height, np.ceil((lower_row + feather).max()) + 1))
        map_upper, map_lower = self._maps(pose, top, bottom)
        patch = np.empty((height, width, 3), np.uint8)
        _remap_into(patch[:bottom], self._upper_skin, map_upper)
        if bottom < height:
            _remap_into(patch[bottom:], self._lower_skin, map_lower[bottom - top :])
        band = slice(top, bottom)
        lower = np.empty((bottom - top, width, 3), np.uint8)
        _remap_into(lower, self._lower_skin, map_lower[: bottom - top])
        rows = np.arange(top, bottom, dtype=np.float32)[:, None]
        self._show_interior(lower, pose, upper_row, lower_row, top)
        cover = np.clip((upper_row - rows) / feather + 0.5, 0, 1)
        patch[band] = cv2.blendLinear(patch[band], lower, cover, 1 - cover)
        if pose.pucker > _ROUNDED:
            self._round_lips(patch, pose, upper_row, lower_row)
        # The corners move with the pose, the line must end where they are now.
        centre = np.float32(self.shape.centre)
        u = self._local(self._columns, upper_row)[:, 0] - centre
        u = u * np.float32(self.shape.half_width / self._half_width(pose)) + centre
        draw_lip_line(patch, self.shape, u, upper_row, lower_row)
        return patch

    def _half_width(self, pose: MouthPose) -> float:
        """Half the width of the inner lips in this pose, in E."""
        return self.shape.half_width + SPREAD_E * max(0.0, pose.wide) - PUCKER_E * pose.pucker

    def _round_lips(self, patch: Picture, pose: MouthPose, upper_row: Floats, lower_row: Floats) -> None:
        """Pouted lips show red all round the opening, where lips at rest run out thin at the corners."""
        unit = self.shape.axes.unit_px
        columns = np.flatnonzero(lower_row - upper_row > 0.35)
        if len(columns) == 0:
            return
        reach = int(0.12 * unit)
        x0, x1 = max(0, int(columns[0]) - reach), min(self.region.width, int(columns[-1]) + reach)
        y0 = max(0, int(upper_row[columns].min()) - reach)
        y1 = min(self.region.height, int(lower_row[columns].max()) + reach)
        rows = np.arange(y0, y1, dtype=np.float32)[:, None]
        gap = np.minimum(rows - upper_row[x0:x1], lower_row[x0:x1] - rows)
        hole = np.clip(gap + 0.5, 0, 1).astype(np.float32)
        around = cv2.GaussianBlur(hole, (0, 0), max(0.8, 0.032 * unit), borderType=cv2.BORDER_CONSTANT)
        tint = (0.9 * pose.pucker * np.clip(3.4 * np.asarray(around), 0, 1) * (1 - hole))[..., None]
        view = patch[y0:y1, x0:x1].astype(np.float32)
        # The hue of the lips over that of the skin; a little stronger and darker, as lips at their rims are.
        hue = self.interior.palette.lip / np.maximum(1, self.interior.palette.skin)
        red = view * np.minimum(1, (hue / hue[2]) ** 2) * np.float32(0.92)
        patch[y0:y1, x0:x1] = (view + tint * (red - view)).astype(np.uint8)

    def _feather(self, pose: MouthPose) -> Floats:
        """Width of the soft edge between the layers in pixels: sharp at the lips, wide beyond the corners."""
        uv = self._local(self._columns, np.full_like(self._columns, self.region.height / 2))
        outside = np.maximum(
            0, np.abs(uv[:, 0] - np.float32(self.shape.centre)) - np.float32(self._half_width(pose))
        )
        sharp = max(1.1, 0.006 * self.shape.axes.unit_px)
        wide = np.minimum(0.4 * outside, 0.06) * self.shape.axes.unit_px
        return np.asarray(sharp + wide, np.float32)

    def _maps(self, pose: MouthPose, top: int, bottom: int) -> tuple[Floats, Floats]:
        """Returns where the pixels come from, float32 (rows, width, 2): the upper layer to row `bottom`, the
        lower from `top`.
        """
        across, upper, lower = self._grid_basis.mix(pose.weights(self.rest_smile))
        step, cells = self._step, self.region.height // self._step
        spans = ((0, min(cells, -(-bottom // step))), (top // step, cells))
        maps = []
        for down, (first, last), start in zip((upper, lower), spans, (0, top), strict=True):
            forward = np.asarray(cv2.merge(self.shape.axes.vectors_to_pixels(across, down)), np.float32)
            rows = slice(first, last + 2)
            backward = _invert(forward, step, rows)
            backward[..., 0] += self._grid_x[rows]
            backward[..., 1] += self._grid_y[rows]
            size = (backward.shape[1] * step, backward.shape[0] * step)
            full = cv2.resize(backward, size, interpolation=cv2.INTER_LINEAR) if step > 1 else backward
            maps.append(np.asarray(full, np.float32)[step + start - first * step :, step:-step])
        return maps[0][:bottom], maps[1][: self.region.height - top]

    def _show_interior(
        self, lower: Picture, pose: MouthPose, upper_row: Floats, lower_row: Floats, top: int
    ) -> None:
        """Paints the interior into the band above the lower lip, where the lips are apart."""
        open_columns = np.flatnonzero(lower_row - upper_row > 0.35)
        if len(open_columns) == 0:
            return
        first, last = max(0, int(open_columns[0]) - 1), min(self.region.width, int(open_columns[-1]) + 2)
        high = max(top, int(np.floor(upper_row[first:last].min())) - 2)
        low = min(top + lower.shape[0], int(np.ceil(lower_row[first:last].max())) + 3)
        box = Region(first, high, last - first, low - high)
        inside = self.interior.draw(
            self.shape,
            pose,
            box,
            (self.region.x, self.region.y),
            upper_row[first:last],
            lower_row[first:last],
        )
        rows = np.arange(high, low, dtype=np.float32)[:, None]
        sharp = max(1.1, 0.006 * self.shape.axes.unit_px)
        # + 1 and not + 0.5: where the lips touch, no dark line may leak through.
        cover = np.clip((rows - lower_row[first:last]) / np.float32(sharp) + 1, 0, 1).astype(np.float32)
        view = lower[high - top : low - top, first:last]
        view[:] = cv2.blendLinear(np.ascontiguousarray(view), inside, cover, 1 - cover)


def smiling(shape: MouthShape) -> float:
    """0 for closed lips, 1 for a mouth that was photographed showing its teeth."""
    return float(np.clip((shape.rest_gap - _TOOTHY_GAP_E) / 0.03, 0, 1))


def region_of(shape: MouthShape, top_v: float, width: int, height: int) -> Region:
    """The part of the picture that a mouth can move; its sides are multiples of the grid step."""
    bottom_v = shape.chin_v + 0.5
    corners = np.array([[-0.96, top_v], [0.96, top_v], [-0.96, bottom_v], [0.96, bottom_v]], np.float32)
    pixels = shape.axes.to_pixels(corners)
    x0, y0 = np.floor(np.maximum(pixels.min(axis=0), 0)).astype(int)
    x1, y1 = np.ceil(np.minimum(pixels.max(axis=0), [width, height])).astype(int)
    step = _grid_step(shape)
    columns, rows = max(2, int(x1 - x0) // step), max(2, int(y1 - y0) // step)
    return Region(int(x0), int(y0), columns * step, rows * step)


def _grid_step(shape: MouthShape) -> int:
    """Pixels per cell of the displacement grid: the fields are smooth, about 72 cells per E show no
    facets.
    """
    return int(np.clip(round(shape.axes.unit_px / 72), 1, 6))


def _invert(forward: Floats, step: int, rows: slice) -> Floats:
    """Backward displacement of a forward one (h, w, 2) on a grid of `step` pixels, for some of its rows.

    Three rounds of m(x) = -d(x + m(x)).
    """
    height, width = forward.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[rows, None]
    back = -forward[rows]
    for _ in range(3):
        shifted_x, shifted_y = x + back[..., 0] / np.float32(step), y + back[..., 1] / np.float32(step)
        moved = cv2.remap(forward, shifted_x, shifted_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        back = -np.asarray(moved, np.float32)
    return back


def _remap(source: Picture, x: Floats, y: Floats) -> Picture:
    return np.asarray(cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _remap_into(target: Picture, source: Picture, where: Floats) -> None:
    cv2.remap(source, where, _NO_MAP, cv2.INTER_LINEAR, dst=target, borderMode=cv2.BORDER_REPLICATE)
