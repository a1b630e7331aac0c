"""Blinks and glances: redraws the lids and moves the iris of a still; used by the photo engine."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from avatar.engines.mesh.axes import FaceAxes, Floats, smoothstep
from avatar.engines.mesh.lips import LipCurve
from avatar.engines.mesh.region import Region
from avatar.face.landmarks import (
    LEFT_EYE_LOWER,
    LEFT_EYE_UPPER,
    LEFT_IRIS,
    RIGHT_EYE_LOWER,
    RIGHT_EYE_UPPER,
    RIGHT_IRIS,
    Mask,
    Picture,
    Points,
)

GAZE_RADII = 0.35
DROOP, WIDEN = 0.30, 0.22
"""Of the open eye, what a mood shuts or opens further at its end."""
_LASHES_E = 0.085
_LID_FOLD_E = 0.18
_LOWER_LID_SHARE = 0.10
_MARGIN_E = 0.14
_GRAIN_LEVELS = 1.6
"""Standard deviation of the finest texture of smooth skin."""


@dataclass(frozen=True, slots=True)
class EyePose:
    """blink 0..1 (1 shut); gaze -1..1, to the picture's right and down; lid -1..1, 1 wide open."""

    blink: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    lid: float = 0.0


class EyeModel:
    """One eye of a still picture. `draw` changes nothing and may run in several threads."""

    def __init__(
        self,
        picture: Picture,
        points: Points,
        upper: tuple[int, ...],
        lower: tuple[int, ...],
        iris: tuple[int, ...],
    ) -> None:
        middle = np.asarray((points[upper[0], :2] + points[upper[-1], :2]) / 2, np.float32)
        axes = FaceAxes.of(points, middle)
        local = axes.to_local(points[:, :2])
        upper_lid, lower_lid = LipCurve.fit(local[list(upper)]), LipCurve.fit(local[list(lower)])
        self.unit_px = axes.unit_px
        half = float(local[upper[-1], 0] - local[upper[0], 0]) / 2
        lid_v = float(local[list(upper), 1].min())
        corners = np.array(
            [
                [-half - _MARGIN_E, lid_v - 0.20],
                [half + _MARGIN_E, 0.30],
                [half + _MARGIN_E, lid_v - 0.20],
            ],
            np.float32,
        )
        pixels = axes.to_pixels(np.concatenate([corners, [[-half - _MARGIN_E, 0.30]]]).astype(np.float32))
        x0, y0 = np.maximum(0, np.floor(pixels.min(axis=0))).astype(int)
        x1, y1 = np.minimum([picture.shape[1], picture.shape[0]], np.ceil(pixels.max(axis=0))).astype(int)
        self.region = Region(int(x0), int(y0), int(max(2, x1 - x0)), int(max(2, y1 - y0)))
        self._patch = np.ascontiguousarray(self.region.of(picture)[..., :3])
        u = np.linspace(-half, half, 61, dtype=np.float32)
        self._upper, self._lower = (self._row(axes, u, curve(u)) for curve in (upper_lid, lower_lid))
        self._lower = np.maximum(self._lower, self._upper)
        centre = points[iris[0], :2] - [x0, y0]
        radius = float(np.linalg.norm(points[list(iris[1:]), :2] - points[iris[0], :2], axis=1).mean())
        self._iris_radius = radius
        self._x, self._y = np.meshgrid(
            np.arange(self.region.width, dtype=np.float32), np.arange(self.region.height, dtype=np.float32)
        )
        away = np.hypot(self._x - centre[0], self._y - centre[1]).astype(np.float32)
        self._hidden = self._eye_and_lashes(axes, half)
        self._skin = lid_skin(self._patch, self._upper, self._lower, self._hidden, axes.unit_px)
        self._lashes = lash_colour(self._patch, self._upper, self._lower, axes.unit_px)
        self._iris_weight = 1 - smoothstep(0.95 * radius, 2.1 * radius, away)

    def _eye_and_lashes(self, axes: FaceAxes, half: float) -> Floats:
        """1 on the open eye and its lashes, softly fading out around, and beyond the corners."""
        columns = np.arange(self.region.width, dtype=np.float32) + np.float32(self.region.x)
        ends = axes.to_pixels(np.array([[-half, 0], [half, 0]], np.float32))[:, 0]
        outside = np.maximum(ends[0] - columns, columns - ends[1]) / np.float32(axes.unit_px)
        unit, y = np.float32(axes.unit_px), self._y
        above = smoothstep(-_LASHES_E, -_LASHES_E + 0.04, (y - self._upper) / unit)
        below = 1 - smoothstep(0.0, 0.03, (y - self._lower) / unit)
        return np.asarray(above * below * (1 - smoothstep(0.04, 0.12, outside)), np.float32)

    def _row(self, axes: FaceAxes, u: Floats, v: Floats) -> Floats:
        """A lid edge as one row per column of the patch."""
        pixels = axes.to_pixels(np.stack([u, v], axis=-1))
        columns = np.arange(self.region.width, dtype=np.float32) + np.float32(self.region.x)
        return np.asarray(np.interp(columns, pixels[:, 0], pixels[:, 1]) - self.region.y, np.float32)

    def draw(self, pose: EyePose) -> Picture:
        """The patch (region.height, region.width, 3) BGR in this pose."""
        y = self._y
        gap = self._lower - self._upper
        # Lids follow the eyes when they look down.
        resting = 0.22 * max(0.0, pose.gaze_y) + DROOP * max(0.0, -pose.lid)
        shut = float(np.clip(pose.blink + resting * (1 - pose.blink), 0, 1))
        rise = _LOWER_LID_SHARE * shut * gap
        lower = self._lower - rise
        edge = self._upper + shut * (lower - self._upper)
        eyeball = self._turn_eye(pose, gap)
        upper_lid = self._upper_lid(shut)
        settled = smoothstep(0.0, 0.16 * self.unit_px, np.asarray(y - lower, np.float32))
        lower_lid = self._sample(self._x, np.asarray(y + rise * (1 - settled), np.float32))
        sharp = np.float32(max(1.2, 0.008 * self.unit_px))
        # + 1 and not + 0.5: where the lids touch, nothing may shine through.
        below = np.clip((y - lower) / sharp + 1, 0, 1).astype(np.float32)
        above = np.clip((edge - y) / sharp + 0.5, 0, 1).astype(np.float32)
        picture = self._lid_shadow(eyeball, edge, gap, shut)
        open_eye = cv2.blendLinear(lower_lid, picture, below, 1 - below)
        covered = cv2.blendLinear(upper_lid, open_eye, above, 1 - above)
        lashes = self._lash_line(np.asarray(covered, np.uint8), edge, gap, shut)
        return self._widened(lashes, gap, WIDEN * max(0.0, pose.lid) * (1 - min(1.0, 2 * shut)))

    def _widened(self, picture: Picture, gap: Floats, share: float) -> Picture:
        """The upper lid lifted by `share` of the gap, with all between it and the brow pushed together."""
        if share < 0.01:
            return picture
        y = self._y
        height = np.maximum(1.0, gap)
        inside = np.clip((self._lower - y) / height, 0, 1)
        above = 1 - smoothstep(0.0, _LID_FOLD_E * self.unit_px, np.asarray(self._upper - y, np.float32))
        lift = np.float32(share) * gap * np.where(y < self._upper, above, inside)
        rows = np.asarray(y + lift, np.float32)
        return np.asarray(
            cv2.remap(picture, self._x, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
        )

    def _sample(self, x: Floats, y: Floats) -> Picture:
        return np.asarray(
            cv2.remap(
                self._patch, x, y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            ),
            np.uint8,
        )

    def _turn_eye(self, pose: EyePose, gap: Floats) -> Picture:
        """The eyeball with its iris moved; its rows stay between the lids, so that no skin slips in."""
        shift = np.float32(GAZE_RADII * self._iris_radius)
        x = self._x - self._iris_weight * shift * np.float32(np.clip(pose.gaze_x, -1, 1))
        y = self._y - self._iris_weight * shift * np.float32(0.8 * np.clip(pose.gaze_y, -1, 1))
        if pose.gaze_x or pose.gaze_y:
            inset = np.minimum(1.0, gap / 4)
            inside = np.clip(y, self._upper + inset, self._lower - inset)
            y = np.where((self._y > self._upper) & (self._y < self._lower), inside, y)
        return self._sample(x.astype(np.float32), y)

    def _upper_lid(self, shut: float) -> Picture:
        """The open lid with its lashes going over into the bare skin of a shut one.

        Lashes of an open eye point up; carried down by the lid they would stand on the cheek as spikes.
        """
        fade = float(smoothstep(0.05, 0.45, np.array(shut, np.float32)))
        if fade == 0:
            return self._patch
        return np.asarray(cv2.addWeighted(self._skin, fade, self._patch, 1 - fade, 0), np.uint8)

    def _lid_shadow(self, eyeball: Picture, edge: Floats, gap: Floats, shut: float) -> Picture:
        if shut < 0.02:
            return eyeball
        near = np.exp(-np.maximum(0, self._y - edge) / np.float32(0.035 * self.unit_px))
        near = near * np.clip(gap / np.maximum(1e-3, 0.3 * gap.max()), 0, 1)
        shade = (1 - 0.35 * min(1.0, 3 * shut) * near)[..., None]
        return np.asarray(eyeball * shade, np.uint8)

    def _lash_line(self, picture: Picture, edge: Floats, gap: Floats, shut: float) -> Picture:
        """Lashes go down with the edge of the lid: a thin dark line and a soft, wider shadow below it."""
        strength = float(smoothstep(0.03, 0.25, np.array(shut, np.float32)))
        if strength == 0:
            return picture
        sigma = np.float32(max(0.8, 0.013 * self.unit_px))
        along = np.sqrt(np.clip(gap / np.maximum(1e-3, 0.6 * gap.max()), 0, 1))
        offset = self._y - edge
        line = 0.72 * np.exp(-((offset / sigma) ** 2))
        fringe = 0.30 * np.exp(-((np.maximum(0, offset) / (2.6 * sigma)) ** 2)) * (offset > 0)
        cover = (strength * np.maximum(line, fringe) * along)[..., None]
        return np.asarray(picture * (1 - cover) + self._lashes * cover, np.uint8)


def eye_models(picture: Picture, points: Points) -> tuple[EyeModel, EyeModel]:
    """Both eyes of a picture (h, w, 3) with landmarks (478, 3), the picture's left one first."""
    left = EyeModel(picture, points, LEFT_EYE_UPPER, LEFT_EYE_LOWER, LEFT_IRIS)
    right = EyeModel(picture, points, RIGHT_EYE_UPPER, RIGHT_EYE_LOWER, RIGHT_IRIS)
    return left, right


def lid_skin(patch: Picture, upper: Floats, lower: Floats, hidden: Mask, unit_px: float) -> Picture:
    """The patch (h, w, 3) with its eye covered by skin.

    upper, lower: rows of the lid edges, float32 (w,). hidden: float32 (h, w), 1 where eye and lashes are.
    """
    height = patch.shape[0]
    rows = np.arange(height, dtype=np.float32)[:, None]
    near = (rows > upper - 0.16 * unit_px) & (rows < lower + 0.22 * unit_px)
    smooth = _spread(patch, _like_skin(patch, near & (hidden < 0.05)), unit_px)
    # The fold above is in shade, the ball of the eye catches light, the rim is in shade again.
    depth = np.clip((rows - upper) / np.maximum(2.0, lower - upper), -0.6, 1.0)
    light = 0.98 + 0.09 * np.exp(-(((depth - 0.45) / 0.38) ** 2))
    grain = _grain(patch, lower, unit_px)
    skin = smooth * light[..., None] + 0.7 * grain
    mix = hidden[..., None]
    return np.asarray(np.clip(patch * (1 - mix) + skin * mix, 0, 255), np.uint8)


def lash_colour(patch: Picture, upper: Floats, lower: Floats, unit_px: float) -> Floats:
    """BGR float32 (3,): the darkest tenth of the pixels along the upper lid."""
    rows = np.arange(patch.shape[0], dtype=np.float32)[:, None]
    strip = (np.abs(rows - upper) < 0.025 * unit_px) & (lower - upper > 1)
    pixels = patch[strip].astype(np.float32)
    if len(pixels) == 0:
        return np.array([25, 25, 30], np.float32)
    brightness = pixels.mean(axis=1)
    return np.asarray(np.median(pixels[brightness <= np.percentile(brightness, 10)], axis=0), np.float32)


def _like_skin(patch: Picture, where: npt.NDArray[np.bool_]) -> Mask:
    """1 on pixels of `where` that differ little from their median: leaves out brows, glasses and glints."""
    if not where.any():
        return np.ones(patch.shape[:2], np.float32)
    lab = np.asarray(cv2.cvtColor(cv2.GaussianBlur(patch, (0, 0), 1.2), cv2.COLOR_BGR2LAB), np.float32)
    away = np.abs(lab - np.median(lab[where], axis=0)) * np.array([0.6, 1.2, 1.2], np.float32)
    total = away.sum(axis=2)
    return np.asarray(where & (total < max(14.0, 1.6 * float(np.median(total[where])))), np.float32)


def _spread(patch: Picture, weight: Mask, unit_px: float) -> Floats:
    """Colours of the weighted pixels spread over all others by normalised convolution."""
    scale = float(np.clip(40 / unit_px, 0.1, 1.0))
    colour = cv2.resize(
        patch.astype(np.float32) * weight[..., None], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    count = cv2.resize(weight, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    total, amount = np.zeros_like(colour), np.zeros_like(count)
    for sigma, share in ((0.05, 1.0), (0.12, 0.1), (0.5, 0.001)):
        total = cv2.scaleAdd(
            cv2.GaussianBlur(colour, (0, 0), max(0.5, sigma * unit_px * scale)), share, total
        )
        amount = cv2.scaleAdd(
            cv2.GaussianBlur(count, (0, 0), max(0.5, sigma * unit_px * scale)), share, amount
        )
    spread = cv2.resize(
        total / (np.asarray(amount)[..., None] + 1e-6), patch.shape[1::-1], interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(cv2.GaussianBlur(spread, (0, 0), max(0.5, 0.02 * unit_px)), np.float32)


def _grain(patch: Picture, lower: Floats, unit_px: float) -> Floats:
    """Fine texture of the skin under the eye, mirrored up: the lid must not be smoother than the rest."""
    height, width = patch.shape[:2]
    fine = patch.astype(np.float32) - cv2.GaussianBlur(patch, (0, 0), max(0.8, 0.012 * unit_px)).astype(
        np.float32
    )
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    start = lower + np.float32(0.05 * unit_px)
    mirrored = np.clip(start + np.abs(lower - y), 0, height - 1).astype(np.float32)
    grain = np.clip(cv2.remap(fine, x, mirrored, cv2.INTER_LINEAR), -14, 14).astype(np.float32)
    # Wrinkles and JPEG blocks are no grain: mirrored on a lid they look like the rings of a tree.
    return np.asarray(grain * min(1.0, _GRAIN_LEVELS / max(1e-3, float(grain.std()))), np.float32)
