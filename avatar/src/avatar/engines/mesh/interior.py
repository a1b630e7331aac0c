"""Draws throat, tongue and teeth between open lips, in the colours of the face; for the mouth model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from avatar.engines.mesh.axes import Floats, smoothstep
from avatar.engines.mesh.lips import MouthShape
from avatar.engines.mesh.mouth_fields import JAW_E, LOW_E, MouthPose
from avatar.engines.mesh.palette import MouthPalette
from avatar.engines.mesh.region import Region
from avatar.engines.mesh.teeth import Plate, composite_over, lower_teeth, median_colour, tongue, upper_teeth
from avatar.face.landmarks import Picture, Points

_TONGUE_SHARE = 0.52
"""Of an opening, the part that the tongue fills from below when it rests."""
_TONGUE_DEEP_E = 0.10
_RAISED = 0.3


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
        lower_v = origin_v + jaw + LOW_E * pose.low
        tongue_v = lower_v - _TONGUE_SHARE * (lower_v - origin_v) - lift
        raised = pose.tongue >= _RAISED
        if not raised:  # at rest the tongue lies behind the lower teeth, raised it hides them
            picture = self._tongue_bed(picture, shape, tongue_v, pose, box, offset)
        self.lower.paint(picture, shape, origin_v + jaw * 0.98 + 0.030, box, offset)
        if raised:
            self.tongue.paint(picture, shape, tongue_v, box, offset)
        # Pouted lips stand out before the teeth and hide them.
        self.upper.paint(picture, shape, origin_v - 0.032 * pose.pucker, box, offset)
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


def lip_line_v(shape: MouthShape) -> float:
    """v of the line where the lips of this face meet when shut: the upper lip's edge, let down a little."""
    middle = np.array([shape.centre], np.float32)
    return float(shape.upper(middle)[0] + min(0.42 * float(shape.gap(middle)[0]), 0.036))
