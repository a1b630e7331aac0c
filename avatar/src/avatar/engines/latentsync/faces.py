"""Converts pictures of faces to the tensors of the networks: range, mask, and the surroundings put back.

The mask is the part of an aligned face that LatentSync draws anew: jaw and cheeks up to the nose, in a U.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor

from avatar.engines.latentsync.shapes import VAE_SCALE

Pixels = npt.NDArray[np.uint8]
MASK_SIDE_PX = 256
MASK_OUTLINE = (
    (9, 128), (12, 170), (17, 179), (23, 189), (30, 197), (39, 207), (43, 210), (52, 217), (56, 219),
    (62, 223), (83, 233), (96, 238), (110, 241), (130, 241), (131, 242), (152, 242), (153, 241), (160, 240),
    (161, 239), (164, 239), (169, 236), (173, 235), (176, 233), (180, 232), (181, 231), (185, 230),
    (197, 223), (207, 216), (213, 211), (223, 201), (224, 199), (228, 195), (229, 193), (241, 175),
    (244, 168), (245, 157), (246, 140), (247, 129), (246, 125), (246, 95), (178, 95), (178, 127),
    (176, 128), (78, 128), (77, 126), (77, 95), (9, 95),
)  # fmt: skip
"""Corners in an aligned face of 256 x 256 pixels: filled, the very pixels of the published mask."""


def faces_to_tensor(pictures: Sequence[Pixels], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Returns RGB pictures (side, side, 3) as faces (n, 3, side, side) in -1..1."""
    stacked = torch.from_numpy(np.stack(pictures)).to(device)
    return (stacked.permute(0, 3, 1, 2).float() / 127.5 - 1).to(dtype)


def mask_faces(faces: Tensor, mask: Tensor) -> Tensor:
    """Returns faces with grey (0) where `mask` (side, side) is 0."""
    return faces * mask.to(faces.dtype)


def mask_to_latent(mask: Tensor) -> Tensor:
    """Returns `mask` (side, side) as the mask channel (1, 1, side / 8, side / 8): every eighth pixel."""
    size = (mask.shape[0] // VAE_SCALE, mask.shape[1] // VAE_SCALE)
    return functional.interpolate(mask[None, None], size=size, mode="nearest")


def paste_surroundings(drawn: Tensor, faces: Tensor, mask: Tensor) -> Tensor:
    """Returns the drawn faces where `mask` is 0, and the filmed ones where it is 1."""
    weight = mask.to(drawn.dtype)
    return drawn * (1 - weight) + faces * weight


def face_mask(side_px: int) -> npt.NDArray[np.float32]:
    """Returns (side, side): 1 where the picture stays, 0 where it is drawn; soft at the edge unless 256."""
    mask = np.full((MASK_SIDE_PX, MASK_SIDE_PX), 255, np.uint8)
    cv2.fillPoly(mask, [np.array(MASK_OUTLINE, np.int32)], (0,))
    return resize_mask(mask, side_px)


def resize_mask(mask: npt.NDArray[np.uint8], side_px: int) -> npt.NDArray[np.float32]:
    """Returns a mask (256, 256) of 0 and 255 at another size, 0..1, as the checkpoints were trained."""
    resized = cv2.resize(mask, (side_px, side_px), interpolation=cv2.INTER_LANCZOS4)
    return (resized / 255.0).astype(np.float32)
