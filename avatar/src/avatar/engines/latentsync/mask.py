"""The part of an aligned face that LatentSync draws anew: jaw and cheeks up to the nose, in a U."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

SIDE_PX = 256
OUTLINE = (
    (9, 95), (9, 135), (12, 170), (22, 188), (34, 202), (49, 215), (60, 222), (95, 238), (108, 241),
    (152, 242), (164, 239), (183, 231), (202, 220), (223, 201), (240, 177), (244, 169), (247, 134),
    (246, 95), (178, 95), (177, 128), (78, 128), (77, 95),
)  # fmt: skip
"""Corners in an aligned face of 256 x 256 pixels. The published mask differs from it in 0.2 % of them."""


def keep_mask(side_px: int) -> npt.NDArray[np.float32]:
    """(side, side), 1 where the picture is kept and 0 where it is drawn; soft at the edge unless 256."""
    kept = np.full((SIDE_PX, SIDE_PX), 255, np.uint8)
    cv2.fillPoly(kept, [np.array(OUTLINE, np.int32)], (0,))
    return resized_mask(kept, side_px)


def resized_mask(mask: npt.NDArray[np.uint8], side_px: int) -> npt.NDArray[np.float32]:
    """A mask (256, 256) of 0 and 255, 255 = keep, at another size, as the checkpoints were trained."""
    resized = cv2.resize(mask, (side_px, side_px), interpolation=cv2.INTER_LANCZOS4)
    return (resized / 255.0).astype(np.float32)
