"""Cuts faces out of frames, converts them for the networks, and pastes them back.

The mask is the part of an aligned face that LatentSync draws anew: jaw and cheeks up to the nose, in a U.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor

from avatar.engines.latentsync.align import Floats, crop_size
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


OUTSIDE = 127.0
_LOST_LEVELS = 5e-5
"""What float32 loses of a plain surface: its 64 comes as 63.99999, and would be cut to 63."""


def inverse(matrix: Floats) -> Floats:
    """The (2, 3) affine map back."""
    return np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))[:2]


def warp(picture: Tensor, matrix: Floats, size: tuple[int, int], fill: float | Tensor) -> Tensor:
    """`picture` (channels, h, w) moved by `matrix` onto (channels, height, width) of `size`, bilinear.

    Pixel centres are whole numbers. What lies outside of the picture counts as `fill`, one for all channels
    or (channels, 1, 1), so its edge is soft.
    """
    width, height = size
    back = torch.from_numpy(inverse(matrix)).to(picture.device)
    x = torch.arange(width, device=picture.device, dtype=torch.float64)
    y = torch.arange(height, device=picture.device, dtype=torch.float64)[:, None]
    source_x = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    source_y = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    _, rows, columns = picture.shape
    grid = torch.stack([source_x * (2 / (columns - 1)) - 1, source_y * (2 / (rows - 1)) - 1], dim=-1)
    grid = grid.to(picture.dtype)[None]
    # Shifted by the fill, the outside is zero: one pass instead of one for the picture and one for its edge.
    moved = functional.grid_sample(picture[None] - fill, grid, padding_mode="zeros", align_corners=True)
    return moved[0] + fill


def cut_out(frame: Pixels, matrix: Floats, side_px: int, device: torch.device) -> Pixels:
    """The aligned face (side, side, 3) of a frame (h, w, 3): warped to the crop, squeezed to a square."""
    crop = crop_of(frame, matrix, side_px, device) + _LOST_LEVELS
    whole = crop.clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    return np.asarray(cv2.resize(whole, (side_px, side_px), interpolation=cv2.INTER_LANCZOS4), np.uint8)


def crop_of(frame: Pixels, matrix: Floats, side_px: int, device: torch.device) -> Tensor:
    """The crop (3, height, width) of a frame (h, w, 3) before it is cut to whole levels."""
    source, moved = _only_around(frame, matrix, crop_size(side_px))
    picture = torch.from_numpy(source).to(device).permute(2, 0, 1).float()
    return warp(picture, moved, crop_size(side_px), OUTSIDE)


def _only_around(frame: Pixels, matrix: Floats, size: tuple[int, int]) -> tuple[Pixels, Floats]:
    """The part of the frame that the crop shows, and the matrix from that part."""
    box = _box(matrix, size, (frame.shape[1], frame.shape[0]))
    if box is None:
        return frame, matrix
    left, top, right, bottom = box
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ np.array([left, top], np.float64)
    return np.ascontiguousarray(frame[top:bottom, left:right]), moved


def _box(matrix: Floats, size: tuple[int, int], frame: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) in the frame of all that a crop shows, two pixels wider; None if nothing."""
    width, height = size
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], np.float64)
    back = inverse(matrix)
    seen = corners @ back[:, :2].T + back[:, 2]
    low, high = np.floor(seen.min(axis=0)).astype(int) - 3, np.ceil(seen.max(axis=0)).astype(int) + 4
    left, top = max(0, int(low[0])), max(0, int(low[1]))
    right, bottom = min(frame[0], int(high[0])), min(frame[1], int(high[1]))
    return (left, top, right, bottom) if right - left > 1 and bottom - top > 1 else None


@dataclass(frozen=True, slots=True)
class Patch:
    """The part of a frame that changes: float32 (h, w, 3) in 0..255 at (left, top), on the device of the
    face.
    """

    pixels: Tensor
    left: int
    top: int


def warp_back(frame: Pixels, face: Tensor, matrix: Floats, strength: float = 1.0) -> Patch | None:
    """The frame's part around a face (3, side, side) in -1..1, with the face laid over it; None if outside.

    The face is blended in over a twentieth of its side: the crop's mask, two pixels smaller, eroded by that
    width and blurred by it. `strength` 0..1 lets the frame's own face show through.
    """
    side = face.shape[-1]
    size = crop_size(side)
    box = _box(matrix, size, (frame.shape[1], frame.shape[0]))
    if box is None:
        return None
    left, top, right, bottom = box
    place = (right - left, bottom - top)
    back = inverse(matrix)
    back[:, 2] -= np.array([left, top], np.float64)
    crop = functional.interpolate(
        face[None].float(), (size[1], size[0]), mode="bicubic", align_corners=False, antialias=True
    )[0]
    # The face and how much of it is there, in a fourth channel: all places are looked up once.
    four = torch.cat([crop, torch.ones_like(crop[:1])])
    outside = torch.tensor([OUTSIDE, OUTSIDE, OUTSIDE, 0.0], device=face.device).view(4, 1, 1)
    shown, whole = warp(four, back, place, outside).split([3, 1])
    shown = (shown / 2 + 0.5).clamp(0, 1) * 255
    whole = _eroded(whole, 2)
    edge = int(float(whole.sum()) ** 0.5) // 20
    soft = _blurred(_eroded(whole, edge * 2), edge) * strength
    under = torch.from_numpy(np.ascontiguousarray(frame[top:bottom, left:right])).to(face.device)
    mixed = soft * (whole * shown) + (1 - soft) * under.permute(2, 0, 1).float()
    return Patch(mixed.permute(1, 2, 0), left, top)


def paste_patch(frame: Pixels, patch: Patch | None) -> Pixels:
    """A copy of the frame with the patch in it, rounded to the nearest level."""
    out = frame.copy()
    if patch is not None:
        height, width = patch.pixels.shape[:2]
        rounded = patch.pixels.round().clamp(0, 255).to(torch.uint8)
        out[patch.top : patch.top + height, patch.left : patch.left + width] = rounded.cpu().numpy()
    return out


def _eroded(mask: Tensor, kernel: int) -> Tensor:
    """The least of `kernel` pixels in both directions, more of them on the left and above when it is even."""
    if kernel < 2:
        return mask
    before, after = kernel // 2, kernel - kernel // 2 - 1
    negative = functional.pad(-mask[None], (before, after, before, after), value=-torch.inf)
    rows = functional.max_pool2d(negative, (1, kernel), stride=1)
    return -functional.max_pool2d(rows, (kernel, 1), stride=1)[0]


def _blurred(mask: Tensor, edge: int) -> Tensor:
    """Gaussian over 2 * edge + 1 pixels, its width as OpenCV chooses it for that many."""
    if edge < 1:
        return mask
    taps = 2 * edge + 1
    sigma = 0.3 * ((taps - 1) * 0.5 - 1) + 0.8
    place = torch.arange(taps, device=mask.device, dtype=mask.dtype) - edge
    weights = torch.exp(-place.square() / (2 * sigma**2))
    weights = weights / weights.sum()
    mirrored = functional.pad(mask[None], (edge, edge, edge, edge), mode="reflect")
    rows = functional.conv2d(mirrored, weights.view(1, 1, 1, taps))
    return functional.conv2d(rows, weights.view(1, 1, taps, 1))[0]
