"""The part of an aligned face that LatentSync draws anew: jaw and cheeks up to the nose, in a U."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

SIDE_PX = 256
OUTLINE = (
    (9, 128), (12, 170), (17, 179), (23, 189), (30, 197), (39, 207), (43, 210), (52, 217), (56, 219),
    (62, 223), (83, 233), (96, 238), (110, 241), (130, 241), (131, 242), (152, 242), (153, 241), (160, 240),
    (161, 239), (164, 239), (169, 236), (173, 235), (176, 233), (180, 232), (181, 231), (185, 230),
    (197, 223), (207, 216), (213, 211), (223, 201), (224, 199), (228, 195), (229, 193), (241, 175),
    (244, 168), (245, 157), (246, 140), (247, 129), (246, 125), (246, 95), (178, 95), (178, 127),
    (176, 128), (78, 128), (77, 126), (77, 95), (9, 95),
)  # fmt: skip
"""Corners in an aligned face of 256 x 256 pixels: filled, the very pixels of the published mask."""


def keep_mask(side_px: int) -> npt.NDArray[np.float32]:
    """(side, side), 1 where the picture is kept and 0 where it is drawn; soft at the edge unless 256."""
    kept = np.full((SIDE_PX, SIDE_PX), 255, np.uint8)
    cv2.fillPoly(kept, [np.array(OUTLINE, np.int32)], (0,))
    return resized_mask(kept, side_px)


def resized_mask(mask: npt.NDArray[np.uint8], side_px: int) -> npt.NDArray[np.float32]:
    """A mask (256, 256) of 0 and 255, 255 = keep, at another size, as the checkpoints were trained."""
    resized = cv2.resize(mask, (side_px, side_px), interpolation=cv2.INTER_LANCZOS4)
    return (resized / 255.0).astype(np.float32)
