"""Draws throat, tongue and teeth between open lips, in the colours of the face; for the mouth model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from avatar.engines.mesh.axes import Floats, smoothstep
from avatar.engines.mesh.lips import MouthShape, lip_line_v
from avatar.engines.mesh.mouth_fields import PRESS_SHARE, MouthPose
from avatar.engines.mesh.region import Region
from avatar.engines.mesh.teeth import Plate, composite_over, lower_teeth, median_colour, tongue, upper_teeth
from avatar.face.landmarks import (
    LEFT_EYE_LOWER,
    LEFT_EYE_UPPER,
    LOWER_INNER_LIP,
    LOWER_OUTER_LIP,
    OVAL,
    RIGHT_EYE_LOWER,
    RIGHT_EYE_UPPER,
    Picture,
    Points,
)
from avatar.tracks import JAW_E, LOW_E

_TONGUE_SHARE = 0.52
"""Of an opening, the part that the tongue fills from below when it rests."""
_TONGUE_DEEP_E = 0.10
_RAISED, _BETWEEN_TEETH = 0.3, 0.8
_TIP_E = 0.020
_HIDDEN_BY_PUCKER = (0.30, 0.70)


@dataclass(frozen=True, slots=True)
class MouthInterior:
    """Teeth and tongue of one person. Upper teeth hang on the skull, all else on the jaw."""

    palette: MouthPalette
    upper: Plate
    lower: Plate
    tongue: Plate

    @classmethod
    def from_picture(cls, image: Picture, landmarks: Points) -> MouthInterior:
        """Colours are taken from the lips and the whites of the eyes of a picture (h, w, 3) BGR."""
        return cls.of(MouthShape.of(landmarks), MouthPalette.from_picture(image, landmarks))

    @classmethod
    def of(cls, shape: MouthShape, palette: MouthPalette) -> MouthInterior:
        """Drawn teeth and tongue in given colours, as wide as the mouth of `shape`."""
        resolution = float(np.clip(shape.axes.unit_px, 48, 420))
        width = shape.half_width / 0.30
        return cls(
            palette,
            upper_teeth(palette.teeth, resolution, width),
            lower_teeth(palette.teeth, resolution, width),
            tongue(palette.tongue, resolution, width),
        )

    def with_upper_teeth(self, shape: MouthShape, own: Plate) -> MouthInterior:
        """With a person's own upper teeth; where those end, drawn ones of their colour go on."""
        drawn = MouthInterior.of(shape, replace(self.palette, teeth=median_colour(own)))
        return replace(drawn, upper=composite_over(own, drawn.upper))

    def draw(
        self,
        shape: MouthShape,
        pose: MouthPose,
        box: Region,
        offset: tuple[int, int],
        upper_row: Floats,
        lower_row: Floats,
    ) -> Picture:
        """The interior in `box` (a rectangle of the mouth patch, which lies at `offset` in the picture).

        upper_row, lower_row: float32 (box.width,), rows of the lip edges in the patch. uint8 (h, w, 3) BGR.
        """
        origin_v = lip_line_v(shape)
        jaw = JAW_E * pose.jaw
        lift = (0.05 + 0.10 * pose.jaw) * pose.tongue
        rows = np.arange(box.y, box.y + box.height, dtype=np.float32)[:, None]
        picture = self._throat(rows, upper_row, lower_row)
        meet_v = origin_v + PRESS_SHARE * (jaw - JAW_E * pose.lips_jaw)
        lower_v = meet_v + JAW_E * pose.lips_jaw + LOW_E * pose.lips_low
        tongue_v = lower_v - _TONGUE_SHARE * (lower_v - origin_v) - lift
        raised = pose.tongue >= _RAISED
        if not raised:  # at rest the tongue lies behind the lower teeth, raised it hides them
            picture = self._tongue_bed(picture, shape, tongue_v, pose, box, offset)
        # Pouted lips stand out before the teeth and hide them, unless the upper lip is raised ("sh").
        hidden = float(smoothstep(*_HIDDEN_BY_PUCKER, np.asarray(pose.pucker, np.float32)))
        hidden *= 1 - min(1.0, 2 * pose.raise_)
        if hidden < 1:
            down = origin_v + jaw * 0.98 + 0.030 + 0.05 * hidden
            self.lower.paint(picture, shape, down, box, offset)
        between_teeth = pose.tongue > _BETWEEN_TEETH
        if raised and not between_teeth:
            self.tongue.paint(picture, shape, tongue_v, box, offset)
        if hidden < 1:
            self.upper.paint(picture, shape, origin_v - 0.14 * hidden, box, offset)
        if between_teeth:
            self.tongue.paint(picture, shape, max(tongue_v, origin_v + _TIP_E), box, offset)
        return self._shade(picture, pose, rows, upper_row, lower_row, shape.axes.unit_px)

    def _tongue_bed(
        self,
        throat: Floats,
        shape: MouthShape,
        v: float,
        pose: MouthPose,
        box: Region,
        offset: tuple[int, int],
    ) -> Floats:
        """The throat with the tongue at rest before it: its back is in the dark, its tip in the light."""
        picture = throat.copy()
        self.tongue.paint(picture, shape, v, box, offset)
        axes = shape.axes
        columns = np.arange(box.x, box.x + box.width, dtype=np.float32)[None, :] + np.float32(offset[0])
        rows = np.arange(box.y, box.y + box.height, dtype=np.float32)[:, None] + np.float32(offset[1])
        at = axes.to_local(np.stack(np.broadcast_arrays(columns, rows), axis=-1).astype(np.float32))
        seen = smoothstep(-0.01, _TONGUE_DEEP_E, at[..., 1] - np.float32(v))
        seen = np.maximum(seen, np.float32(pose.tongue / _RAISED))[..., None]
        return np.asarray(throat + (picture - throat) * seen, np.float32)

    def _throat(self, rows: Floats, upper_row: Floats, lower_row: Floats) -> Floats:
        middle, half = (upper_row + lower_row) / 2, np.maximum(2.0, (lower_row - upper_row) / 2)
        rim = np.clip(np.abs(rows - middle) / half, 0, 1)[..., None]
        return np.asarray(self.palette.throat * (0.55 + 0.45 * rim**2), np.float32)

    def _shade(
        self,
        picture: Floats,
        pose: MouthPose,
        rows: Floats,
        upper_row: Floats,
        lower_row: Floats,
        unit_px: float,
    ) -> Picture:
        """Light falls in through the opening: narrow gaps and the rims at the lips are darker, and warm."""
        hole = np.clip(np.minimum(rows - upper_row, lower_row - rows) + 0.5, 0, 1).astype(np.float32)
        sigma = max(0.8, 0.035 * unit_px)
        light = cv2.GaussianBlur(hole, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
        shade = 0.62 + 0.38 * np.minimum(1, 1.35 * light)
        # The upper lip throws a shadow on the teeth.
        depth = np.clip((rows - upper_row) / np.float32(0.016 * unit_px), 0, 1)
        # The lower lip stands before the teeth: a thin dark seam along it.
        behind = np.clip((lower_row - rows) / np.float32(0.016 * unit_px), 0, 1)
        shade = shade * (0.62 + 0.38 * depth) * (0.45 + 0.55 * behind) * (1 - 0.45 * pose.pucker)
        shade = np.clip(shade, 0.02, 1).astype(np.float32)
        # Powers per channel: neutral shading makes teeth look grey-green.
        tinted = cv2.merge([cv2.pow(shade, 1.35), cv2.pow(shade, 1.18), cv2.pow(shade, 0.92)])
        return np.asarray(np.clip(picture * tinted, 0, 255), np.uint8)


@dataclass(frozen=True, slots=True)
class MouthPalette:
    """BGR colours, float32 (3,), 0..255."""

    lip: Floats
    skin: Floats
    teeth: Floats
    throat: Floats
    tongue: Floats

    @classmethod
    def from_picture(cls, image: Picture, landmarks: Points) -> MouthPalette:
        """From a picture (h, w, 3) BGR and its landmarks."""
        lip = np.median(_inside(image, landmarks, [(*LOWER_OUTER_LIP, *LOWER_INNER_LIP[::-1])]), axis=0)
        skin = np.median(_inside(image, landmarks, [OVAL]), axis=0)
        eyes = _inside(
            image,
            landmarks,
            [(*LEFT_EYE_UPPER, *LEFT_EYE_LOWER[::-1]), (*RIGHT_EYE_UPPER, *RIGHT_EYE_LOWER[::-1])],
        )
        brightness = eyes.mean(axis=1)
        white = np.median(eyes[brightness >= np.percentile(brightness, 80)], axis=0)
        # Small eyes hold few white pixels: bound the guess by the light on the skin.
        level = float(np.clip(white.mean(), 1.12 * skin.mean(), 1.40 * skin.mean()))
        level = float(np.clip(level, 125, 210))
        # Eyes in warm light or behind glasses are too coloured a guess; teeth are nearly neutral.
        tint = 0.3 * white / max(1.0, float(white.mean())) + 0.7
        teeth = level * tint * np.array([0.88, 0.97, 1.02])
        return cls(
            lip=lip.astype(np.float32),
            skin=skin.astype(np.float32),
            teeth=np.clip(teeth, 0, 235).astype(np.float32),
            throat=(lip * np.array([0.20, 0.17, 0.30])).astype(np.float32),
            tongue=np.clip(lip * np.array([0.66, 0.60, 0.84]), 0, 220).astype(np.float32),
        )


def _inside(image: Picture, landmarks: Points, rings: list[tuple[int, ...]]) -> Floats:
    """The pixels inside closed rings of landmarks, float32 (n, 3), at least one."""
    corners = landmarks[[index for ring in rings for index in ring], :2]
    x0, y0 = np.maximum(0, np.floor(corners.min(axis=0))).astype(int)
    x1, y1 = np.maximum([x0 + 1, y0 + 1], np.ceil(corners.max(axis=0)) + 1).astype(int)
    part = image[y0:y1, x0:x1, :3]
    mask = np.zeros(part.shape[:2], np.uint8)
    for ring in rings:
        outline = np.round(landmarks[list(ring), :2]).astype(np.int32) - np.array([x0, y0], np.int32)
        cv2.fillPoly(mask, [outline], (255,))
    pixels = np.asarray(part[mask > 0], np.float32)
    return pixels if len(pixels) else np.asarray(image[..., :3].reshape(-1, 3).mean(axis=0)[None], np.float32)
