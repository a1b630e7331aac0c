"""Turns a source frame into the engine's picture: upright, scaled to cover it, cut round the person."""

from __future__ import annotations

from dataclasses import dataclass

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace

from avatar.engines.base import Pixels
from avatar.engines.motion.footage import Footage

Points = npt.NDArray[np.float32]

_UNSAID = 2  # AVCOL_SPC_UNSPECIFIED
_HD_PX = 720
_FACE_AT = (0.5, 0.42)
"""Where the middle of the face goes in the cut, as far as the footage allows."""


@dataclass(frozen=True, slots=True)
class Framing:
    """One for the whole clip: a cut that followed the face would move the background."""

    turns: int
    scaled: tuple[int, int]
    left: int
    top: int
    size: tuple[int, int]
    scale: float

    @classmethod
    def cover(
        cls, footage: Footage, size: tuple[int, int], face_centre: tuple[float, float] | None = None
    ) -> Framing:
        """`face_centre`: usual place of the face in source pixels."""
        width, height = size
        scale = max(width / footage.width, height / footage.height)
        scaled = (max(width, round(footage.width * scale)), max(height, round(footage.height * scale)))
        x, y = face_centre or (footage.width / 2, footage.height / 2)
        left = round(float(np.clip(x * scale - _FACE_AT[0] * width, 0, scaled[0] - width)))
        top = round(float(np.clip(y * scale - _FACE_AT[1] * height, 0, scaled[1] - height)))
        return cls(footage.turns, scaled, left, top, size, scale)

    def picture(self, frame: av.VideoFrame) -> Pixels:
        """BGR uint8 (height, width, 3) of `size`."""
        upright = upright_bgr(frame, self.turns)
        if (upright.shape[1], upright.shape[0]) != self.scaled:
            shrinking = self.scaled[0] < upright.shape[1]
            upright = np.asarray(
                cv2.resize(
                    upright, self.scaled, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
                ),
                np.uint8,
            )
        width, height = self.size
        return np.ascontiguousarray(upright[self.top : self.top + height, self.left : self.left + width])

    def points(self, source: Points) -> Points:
        """Landmarks (..., 3) in source pixels as pixels of the engine's picture."""
        moved = source * np.float32(self.scale)
        moved[..., 0] -= self.left
        moved[..., 1] -= self.top
        return np.asarray(moved, np.float32)


def upright_bgr(frame: av.VideoFrame, turns: int, longest: int | None = None) -> Pixels:
    """BGR of a decoded frame, turned clockwise; shrunk so that no side is longer than `longest`."""
    width, height = frame.width, frame.height
    if longest is not None and max(width, height) > longest:
        shrink = longest / max(width, height)
        width, height = max(2, round(width * shrink)), max(2, round(height * shrink))
    # What says nothing of its colours is BT.709 when it is HD, BT.601 when it is smaller, as players have it.
    unsaid = frame.colorspace == _UNSAID and min(frame.width, frame.height) >= _HD_PX
    colours = Colorspace.ITU709 if unsaid else None
    shown = frame.reformat(width=width, height=height, format="bgr24", src_colorspace=colours)
    pixels = np.asarray(shown.to_ndarray(), np.uint8)
    return np.ascontiguousarray(np.rot90(pixels, -turns)) if turns else pixels
