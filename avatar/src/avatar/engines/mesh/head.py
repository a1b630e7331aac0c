"""One displacement field for the whole frame: head turns in 2.5D, sway, breathing shoulders and brows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from avatar.engines.mesh.axes import FaceAxes, Floats, smoothstep
from avatar.engines.mesh.region import Region
from avatar.face.landmarks import (
    CHIN,
    LEFT_BROW,
    LEFT_EAR,
    LEFT_EYE_UPPER,
    RIGHT_BROW,
    RIGHT_EAR,
    RIGHT_EYE_UPPER,
    Mask,
    Picture,
    Points,
)

SWAY_E, BODY_SHARE = 0.060, 0.55
BREATH_E = 0.013
BROW_E, BROW_TILT_E = 0.050, 0.034
_SKULL_E = 0.18  # hair and ears lie before the axis on which a head turns
_STILL_PX = 0.02
_NO_MAP = np.empty(0, np.float32)  # both coordinates are in the first map
_STRIP_CELLS = 8
_MOTION = ("yaw_deg", "pitch_deg", "roll_deg", "sway", "breath", "brow", "brow_tilt")


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows first .. last and columns left .. right of the field's grid."""

    first: int
    last: int
    left: int
    right: int


class HeadField:
    """Moves a still of `size` (width, height) by head angles; made once per stage, safe to use from threads.

    The motion fades out in the background beside the person, over about a third of E, so nothing tears: the
    background near the outline stretches a little, and is still everywhere else.
    """

    def __init__(self, points: Points, mask: Mask, size: tuple[int, int], *, glasses: bool = False) -> None:
        width, height = size
        axes = FaceAxes.of(points, points[CHIN, :2])
        self.axes, self.size = axes, size
        self.step = max(1, round(axes.unit_px / 36))
        columns, rows = -(-width // self.step), -(-height // self.step)
        x = (np.arange(columns, dtype=np.float32) + 0.5) * self.step - 0.5
        y = (np.arange(rows, dtype=np.float32) + 0.5) * self.step - 0.5
        self._x, self._y = np.meshgrid(x, y)
        self._column, self._row = np.meshgrid(
            np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)
        )
        uv = axes.to_local(np.stack([self._x, self._y], axis=-1))
        u, v = uv[..., 0], uv[..., 1]
        e_cells = axes.unit_px / self.step
        person = self._near_person(mask, e_cells)
        self.head_weight = person * (1 - smoothstep(0.0, 0.80, v)) * (1 - smoothstep(1.25, 1.9, np.abs(u)))
        body = person * (1 - self.head_weight)
        depth = self._depth(points, e_cells)
        pivot = axes.to_pixels(np.array([0.0, 0.35], np.float32))
        e = np.float32(axes.unit_px)
        w, zero = self.head_weight, np.zeros_like(self._x)
        up = -np.float32(BREATH_E) * e
        shoulders = body * smoothstep(0.1, 0.7, v)
        brow, tilt = self._brows(points, u, v, e_cells) * np.float32(0.5 if glasses else 1.0)
        # One row per motion: dx and dy in pixels for an angle of one radian, or a weight of one.
        self._dx = np.stack(
            [
                w * depth * e,
                zero,
                -w * (self._y - pivot[1]),
                (w + BODY_SHARE * body) * SWAY_E * e,
                zero,
                zero,
                zero,
            ]
        ).astype(np.float32)
        self._dy = np.stack(
            [zero, w * depth * e, w * (self._x - pivot[0]), zero, (shoulders + 0.35 * w) * up, brow, tilt]
        ).astype(np.float32)
        self.strips = tuple(self._moving_strips(width, height))
        self.area = self._moving_area(width, height)

    def _near_person(self, mask: Mask, e_cells: float) -> Floats:
        """1 on the person and a rim around, fading to 0 in the background."""
        small = cv2.resize(mask, self._x.shape[::-1], interpolation=cv2.INTER_AREA)
        side = 2 * round(0.09 * e_cells) + 1
        grown = cv2.dilate(small, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
        return np.asarray(
            cv2.GaussianBlur(grown, (0, 0), 0.10 * e_cells, borderType=cv2.BORDER_REPLICATE), np.float32
        )

    def _depth(self, points: Points, e_cells: float) -> Floats:
        """Height over the plane of the ears in E, spread from the landmarks by normalised convolution."""
        ears = (points[LEFT_EAR, 2] + points[RIGHT_EAR, 2]) / 2
        height = (ears - points[:, 2]) / np.float32(self.axes.unit_px)
        total, count = np.zeros_like(self._x), np.zeros_like(self._x)
        columns = np.clip((points[:, 0] / self.step).astype(int), 0, total.shape[1] - 1)
        rows = np.clip((points[:, 1] / self.step).astype(int), 0, total.shape[0] - 1)
        np.add.at(total, (rows, columns), height)
        np.add.at(count, (rows, columns), 1)
        near_total, near_count = (_blur(part, 0.09 * e_cells) for part in (total, count))
        far_total, far_count = (_blur(part, 0.35 * e_cells) for part in (total, count))
        # Beyond the face the wide blur takes over and the height falls to that of the skull.
        spread = (near_total + 0.02 * far_total) / (near_count + 0.02 * far_count + 1e-5)
        return np.asarray(np.clip(spread, -0.2, 1.2) + _SKULL_E, np.float32)

    def _brows(self, points: Points, u: Floats, v: Floats, e_cells: float) -> Floats:
        """Returns dy in pixels (2, rows, columns) for raised brows, and for inner ends raised alone.

        Strongest at the brow, nothing at the lids and at the hair.
        """
        local = self.axes.to_local(points[:, :2])
        raised, tilted = np.zeros_like(u), np.zeros_like(u)
        for brow, lid in ((LEFT_BROW, LEFT_EYE_UPPER), (RIGHT_BROW, RIGHT_EYE_UPPER)):
            line = local[list(brow)]
            order = np.argsort(line[:, 0])
            brow_v = np.interp(u, line[order, 0], line[order, 1]).astype(np.float32)
            lid_line = local[list(lid)]
            lid_v = np.interp(u, lid_line[:, 0], lid_line[:, 1]).astype(np.float32)
            middle, half = line[:, 0].mean(), np.ptp(line[:, 0]) / 2
            across = np.exp(-(((u - middle) / (half * 1.15)) ** 4))
            above = np.exp(-((np.maximum(0, brow_v - v) / 0.30) ** 2))
            below = 1 - smoothstep(0.0, 1.0, (v - brow_v) / np.maximum(0.08, lid_v - brow_v - 0.03))
            here = across * np.where(v < brow_v, above, below)
            raised = np.maximum(raised, here)
            # From the outer end, which goes the other way a little, to the inner one at the nose.
            inner = np.clip((middle - u) * np.sign(middle) / half, -1, 1)
            tilted = tilted + here * (0.40 + 0.60 * inner)
        soft = [_blur(field.astype(np.float32), 0.02 * e_cells) for field in (raised, tilted)]
        reach = np.array([-BROW_E, -BROW_TILT_E], np.float32)[:, None, None]
        return np.asarray(np.stack(soft) * reach * np.float32(self.axes.unit_px), np.float32)

    def _moving_strips(self, width: int, height: int) -> Iterator[Strip]:
        """Returns the box of all that can move: the rest of the frame is copied, not resampled."""
        reach = np.abs(self._dx).max(axis=0) + np.abs(self._dy).max(axis=0) > _STILL_PX
        rows, columns = reach.shape
        for first in range(0, rows, _STRIP_CELLS):
            last = min(rows, first + _STRIP_CELLS)
            # One cell more on each side: between nodes the field is interpolated.
            moving = np.flatnonzero(reach[max(0, first - 1) : last + 1].any(axis=0))
            if len(moving) == 0:
                continue
            left, right = max(0, int(moving[0]) - 1), min(columns, int(moving[-1]) + 2)
            yield Strip(first, last, left, right)

    def _moving_area(self, width: int, height: int) -> Region:
        """The smallest rectangle with all that moves, on even pixels as 4:2:0 video wants them."""
        if not self.strips:
            return Region(0, 0, 2, 2)
        left = min(strip.left for strip in self.strips) * self.step // 2 * 2
        top = min(strip.first for strip in self.strips) * self.step // 2 * 2
        right = min(width, -(-max(strip.right for strip in self.strips) * self.step // 2) * 2)
        bottom = min(height, -(-max(strip.last for strip in self.strips) * self.step // 2) * 2)
        return Region(left, top, right - left, bottom - top)

    def backward(self, channels: dict[str, float]) -> Floats:
        """Returns where the nodes of the grid come from: float32 (rows, columns, 2) in pixels."""
        amounts = np.array([channels[name] for name in _MOTION], np.float32)
        amounts[:3] = np.sin(np.radians(amounts[:3]))
        dx = np.einsum("k,kij->ij", amounts, self._dx)
        dy = np.einsum("k,kij->ij", amounts, self._dy)
        forward = cv2.merge([dx, dy])
        back = -forward
        step = np.float32(self.step)
        for _ in range(2):
            where_x, where_y = self._column + back[..., 0] / step, self._row + back[..., 1] / step
            back = -cv2.remap(forward, where_x, where_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        back[..., 0] += self._x
        back[..., 1] += self._y
        return np.asarray(back, np.float32)

    def move(self, picture: Picture, channels: dict[str, float], background: Picture) -> Picture:
        """`picture` (h, w, channels) moved, cut to `area`; what never moves in it is taken from `background`.

        Drawn in strips: their maps stay in the CPU's cache.
        """
        where, step = self._with_margin(self.backward(channels)), self.step
        width, height = self.size
        area = self.area
        frame = area.of(background).copy()
        for strip in self.strips:
            nodes = np.ascontiguousarray(where[strip.first : strip.last + 2, strip.left : strip.right + 2])
            size = (nodes.shape[1] * step, nodes.shape[0] * step)
            full = np.asarray(cv2.resize(nodes, size, interpolation=cv2.INTER_LINEAR), np.float32)
            x0, y0 = strip.left * step, strip.first * step
            x1, y1 = min(width, strip.right * step), min(height, strip.last * step)
            part = full[step : step + y1 - y0, step : step + x1 - x0]
            target = frame[y0 - area.y : y1 - area.y, x0 - area.x : x1 - area.x]
            cv2.remap(picture, part, _NO_MAP, cv2.INTER_LINEAR, dst=target, borderMode=cv2.BORDER_REFLECT)
        return frame

    def _with_margin(self, where: Floats) -> Floats:
        """One node more all round, one step further out: enlarging a grid never extrapolates then."""
        wider = np.pad(where, ((1, 1), (1, 1), (0, 0)), mode="edge")
        wider[:, 0, 0] -= self.step
        wider[:, -1, 0] += self.step
        wider[0, :, 1] -= self.step
        wider[-1, :, 1] += self.step
        return np.asarray(wider, np.float32)


def _blur(values: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), max(0.3, sigma)), np.float32)
