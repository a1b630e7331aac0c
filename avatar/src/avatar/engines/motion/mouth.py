"""Draws a mouth anew in one frame of a video: shuts the mouth the person had, then opens the spoken one.

What a photo never needs: foreshortening of a turned head, a field that ends at the outline of the face so
that the room behind stays still, a chin that comes up with a closing jaw, and a strength for faces that turn
away. Used by the motion engine, one model per frame.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np

from avatar.engines.base import Pixels
from avatar.engines.mesh.axes import Floats, smoothstep
from avatar.engines.mesh.interior import MouthInterior, MouthPalette
from avatar.engines.mesh.lips import MouthShape
from avatar.engines.mesh.mouth import MouthModel, Region, region_of
from avatar.engines.mesh.mouth_fields import CORNER_SHARE, NECK_E, MouthBasis, MouthPose
from avatar.engines.mesh.teeth import Plate
from avatar.engines.motion.turned import TurnedAxes, mouth_shape
from avatar.face.landmarks import LEFT_EYE_LOWER, OVAL, RIGHT_EYE_LOWER, Points
from avatar.tracks import JAW_E, LOW_E, RAISE_E

_OUTLINE_SOFT_E = 0.10
_JAW_CORNERS = (172, 397)
_SMILE_FROM_E, _SMILE_FULL_E = 0.03, 0.07
_JAW_FROM_E = 0.04
_PRESS, _PRESS_BELOW_E = 0.10, 0.03
_MAX_SOURCE_JAW = 0.9
_FORMAT = 1
_PLATES = ("upper", "lower", "tongue")


@dataclass(frozen=True, slots=True)
class VideoPose(MouthPose):
    """A mouth pose over a mouth that moves itself.

    source_jaw: how far the person's own jaw is down, in units of `jaw`; strength: 0 leaves the source alone.
    """

    source_jaw: float = 0.0
    strength: float = 1.0

    def weights(self, rest_smile: float) -> Floats:
        """Weights of the gestures and, last, of the chin that follows the closing mouth."""
        base = MouthPose.weights(self, rest_smile)
        opening = (JAW_E * self.jaw + LOW_E * self.low + RAISE_E * self.raise_) * (1 - self.press)
        # Lip edges are known to a pixel or two: shut lips are pressed together, or teeth would glint.
        base[0] += _PRESS * max(0.0, 1 - opening / _PRESS_BELOW_E)
        return np.append(base, self.source_jaw).astype(np.float32) * np.float32(self.strength)


class VideoMouth(MouthModel):
    """A mouth model of one frame; see `MouthModel`."""

    def __init__(
        self,
        patch: Pixels,
        region: Region,
        shape: MouthShape,
        interior: MouthInterior,
        top_v: float,
        outline: Floats,
    ) -> None:
        self._outline = outline
        super().__init__(patch, region, shape, interior, top_v)
        bend = (
            float(shape.upper(np.array([shape.centre], np.float32))[0])
            - float(shape.upper.left[1] + shape.upper.right[1]) / 2
        )
        self.rest_smile = -0.6 * float(
            np.clip((bend - _SMILE_FROM_E) / (_SMILE_FULL_E - _SMILE_FROM_E), 0, 1)
        )

    @classmethod
    def of_frame(cls, picture: Pixels, points: Points, interior: MouthInterior) -> VideoMouth | None:
        """None when the mouth lies outside the picture or is too small to draw."""
        shape = mouth_shape(points)
        lids = shape.axes.to_local(points[list(LEFT_EYE_LOWER + RIGHT_EYE_LOWER), :2])[:, 1].max()
        top_v = max(-0.46, 0.62 * float(lids))
        height, width = picture.shape[:2]
        x, y = shape.axes.origin
        if shape.axes.unit_px < 16 or not (0 <= x < width and 0 <= y < height):
            return None
        region = region_of(shape, top_v, width, height)
        if min(region.width, region.height) < 8:
            return None
        outline = _outline(points, shape, region)
        return cls(np.ascontiguousarray(region.of(picture)), region, shape, interior, top_v, outline)

    def source_jaw(self, shut_chin_e: float) -> float:
        """Returns the drop of the person's own jaw in units of `jaw`; a wide smile parts lips without it.

        shut_chin_e: distance from nose to chin while the jaw is shut, in E (see `Survey.shut_chin_e`).
        """
        drop = self.shape.chin_v - self.shape.nose_v - shut_chin_e
        by_gap = self.shape.rest_gap - _JAW_FROM_E
        return float(np.clip(min(drop, by_gap) / JAW_E, 0, _MAX_SOURCE_JAW))

    def _window(self, uv: Floats, x: Floats, y: Floats, top_v: float) -> Floats:
        step = np.float32(_outline_step(self.shape))
        at = (np.atleast_2d(x).astype(np.float32) / step, np.atleast_2d(y).astype(np.float32) / step)
        inside = cv2.remap(self._outline, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(super()._window(uv, x, y, top_v) * inside.reshape(x.shape), np.float32)

    def _basis_within(self, uv: Floats, window: Floats) -> MouthBasis:
        basis = super()._basis_within(uv, window)
        u, v = uv[..., 0], uv[..., 1]
        axes = self.shape.axes
        slope = axes.slope(u) if isinstance(axes, TurnedAxes) else np.ones_like(u)
        chin = self._chin(u, v) * window
        zero = np.zeros_like(u)[None]
        return MouthBasis(
            np.concatenate([basis.across * slope, zero]),
            np.concatenate([basis.upper, zero]),
            np.concatenate([basis.lower, chin[None]]).astype(np.float32),
        )

    def _chin(self, u: Floats, v: Floats) -> Floats:
        """Up by one jaw at the chin, nothing at the lips: those are shut by the `close` gesture."""
        shape = self.shape
        side = np.abs(u - np.float32(shape.centre))
        edge = shape.lower(u)
        depth = smoothstep(0.02, max(0.12, 0.75 * (shape.chin_v - float(edge.max(initial=0.0)))), v - edge)
        lateral = 1 - smoothstep(0.22, 0.80, side)
        neck = 1 - smoothstep(shape.chin_v + 0.02, shape.chin_v + 0.02 + NECK_E, v)
        return np.asarray(-JAW_E * (1 - CORNER_SHARE) * depth * lateral * neck, np.float32)

    def draw_over(self, picture: Pixels, pose: MouthPose, strength: float, shut_chin_e: float) -> None:
        """Paint into `picture` (h, w, 3) BGR, the frame this model was made from, in place."""
        jaw = self.source_jaw(shut_chin_e)
        moving = VideoPose(**asdict(pose), source_jaw=jaw, strength=strength)
        patch = self.draw(moving)
        target = self.region.of(picture)
        # The shape fades first and the pixels last, so that a weak mouth is never seen twice.
        cover = float(np.clip(2 * strength, 0, 1))
        target[:] = patch if cover >= 1 else cv2.addWeighted(patch, cover, target, 1 - cover, 0)


def _outline(points: Points, shape: MouthShape, region: Region) -> Floats:
    """1 well inside the face and on the neck under it, 0 outside; `region` at 1 / `_outline_step`."""
    axes = shape.axes
    step = _outline_step(shape)
    mask = np.zeros((-(-region.height // step) + 1, -(-region.width // step) + 1), np.uint8)
    jaw = axes.to_local(points[list(_JAW_CORNERS), :2])
    left, right = float(jaw[0, 0]), float(jaw[1, 0])
    middle, deep = (left + right) / 2, shape.chin_v + 0.6
    # Under the jaw the neck: it narrows, and beside it lies the room again.
    neck = np.array(
        [(left, 0), (right, 0), ((middle + right) / 2, deep), ((middle + left) / 2, deep)], np.float32
    )
    for ring in (points[list(OVAL), :2], axes.to_pixels(neck)):
        cv2.fillPoly(mask, [np.rint((ring - (region.x, region.y)) / step).astype(np.int32)], (255,))
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.8, _OUTLINE_SOFT_E / 2 * axes.unit_px / step))
    return np.asarray(np.clip(soft.astype(np.float32) / 127.5 - 1, 0, 1), np.float32)


def _outline_step(shape: MouthShape) -> int:
    return max(1, int(shape.axes.unit_px / 40))


@dataclass(frozen=True, slots=True)
class CachedMouth:
    """The interior, and the step of the footage that its upper teeth come from (None: they are drawn)."""

    interior: MouthInterior
    teeth_from_step: int | None


class MouthCache:
    """One file in `folder`, named by the `facts` (JSON) that the mouth follows from.

    To take the interior from the footage means to decode as far as its clearest frame, which delays the first
    picture of a render.
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        key = hashlib.sha256(json.dumps({"format": _FORMAT, **facts}, sort_keys=True).encode()).hexdigest()
        self._path = folder / f"mouth-{key[:32]}.npz"

    def load(self) -> CachedMouth | None:
        """None when it is not there, or cannot be read."""
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                palette = MouthPalette(**{one.name: stored[one.name] for one in fields(MouthPalette)})
                plates = {name: _plate(stored[f"{name}_pixels"], stored[f"{name}_grid"]) for name in _PLATES}
                step = int(stored["teeth_from_step"])
        except (OSError, ValueError, KeyError, BadZipFile):
            return None
        return CachedMouth(MouthInterior(palette, **plates), step if step >= 0 else None)

    def save(self, mouth: CachedMouth) -> None:
        """The file appears whole or not at all."""
        arrays = asdict(mouth.interior.palette)
        for name in _PLATES:
            plate: Plate = getattr(mouth.interior, name)
            arrays[f"{name}_pixels"] = plate.pixels
            arrays[f"{name}_grid"] = np.array([plate.per_e, *plate.origin], np.float64)
        step = -1 if mouth.teeth_from_step is None else mouth.teeth_from_step
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._path.parent, suffix=".part", delete=False) as part:
            np.savez(part, **arrays, teeth_from_step=np.array(step))
        Path(part.name).replace(self._path)


def _plate(pixels: Any, grid: Any) -> Plate:
    per_e, across, down = (float(value) for value in grid)
    return Plate(pixels, per_e, (across, down))
