"""The still picture that a photo engine moves: the portrait cut, scaled and cleaned for one output size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from avatar.engines.mesh.axes import smoothstep
from avatar.face.landmarks import CHIN, FOREHEAD_TOP, Mask, Picture, Points
from avatar.face.portrait import Portrait, flatten

# Height of the cut in heights of the face (forehead to chin): usual, with high hair, and in a narrow frame.
_CROP_FACES, _CROP_FACES_MOST, _CROP_FACES_ACROSS = 2.05, 2.6, 1.5
_FACE_AT, _FACE_AT_MOST, _HEADROOM = 0.47, 0.52, 0.035  # of the height of the frame


@dataclass(frozen=True, slots=True)
class Stage:
    """pixels: uint8 (h, w, 3) BGR. mask: float32 (h, w), 1 on the person. points: landmarks (478, 3) in
    its pixels.
    """

    pixels: Picture
    mask: Mask
    points: Points


def set_stage(image: Picture, portrait: Portrait, size: tuple[int, int]) -> Stage:
    """Cuts `image` (h, w, 3 or 4) around its face for an output of `size` (width, height)."""
    colour = flatten(image)
    left, top, scale = _cut(portrait, size)
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float64)
    pixels, mask = _resample(colour, portrait.mask_for_picture(), matrix, scale, size)
    points = portrait.face.points * np.float32(scale)
    points[:, :2] -= np.array([left * scale, top * scale], np.float32)
    # Only at the sides can the photo end: the cut never reaches above or below it.
    columns = left + np.arange(size[0], dtype=np.float32) / np.float32(scale)
    inside = (columns > -0.5) & (columns < portrait.width - 0.5)
    if not inside.all():
        pixels = _extend_sides(pixels, inside)
        mask = mask * inside
    return Stage(pixels, mask, points)


def _cut(portrait: Portrait, size: tuple[int, int]) -> tuple[float, float, float]:
    """(left, top) of the cut in the picture and the scale from picture to output."""
    width, height = size
    p = portrait.face.points
    forehead, chin = float(p[FOREHEAD_TOP, 1]), float(p[CHIN, 1])
    face = float(np.hypot(*(p[CHIN, :2] - p[FOREHEAD_TOP, :2])))
    centre_x, centre_y = (portrait.face.box[0] + portrait.face.box[2]) / 2, (chin + forehead) / 2
    hair = max(_top_of_head(portrait), forehead - face)
    with_hair = min(_CROP_FACES_MOST * face, (centre_y - hair) / (_FACE_AT_MOST - _HEADROOM))
    cut_h = max(_CROP_FACES * face, with_hair, _CROP_FACES_ACROSS * face * height / width)
    # A person must not float: never cut below the picture. Beside it there may be nothing, see _extend_sides.
    cut_h = min(cut_h, float(portrait.height))
    cut_w = cut_h * width / height
    top = min(centre_y - _FACE_AT * cut_h, hair - _HEADROOM * cut_h)
    top = float(np.clip(top, 0, portrait.height - cut_h))
    left = centre_x - cut_w / 2
    if cut_w <= portrait.width:
        left = float(np.clip(left, 0, portrait.width - cut_w))
    return left, top, height / cut_h


def _top_of_head(portrait: Portrait) -> float:
    """The first row of the picture, in pixels, that shows the person over the middle of the face."""
    left, _, right, _ = portrait.face.box
    scale = portrait.mask.shape[1] / portrait.width
    quarter = (right - left) / 4
    columns = portrait.mask[:, max(0, int((left + quarter) * scale)) : max(1, int((right - quarter) * scale))]
    rows = np.flatnonzero((columns > 127).mean(axis=1) > 0.3) if columns.size else np.array([], int)
    return float(rows[0]) / scale if len(rows) else float(portrait.face.points[FOREHEAD_TOP, 1])


def _resample(
    colour: Picture, mask: Mask, matrix: npt.NDArray[np.float64], scale: float, size: tuple[int, int]
) -> tuple[Picture, Mask]:
    if scale < 0.6:  # warpAffine does not filter: shrink first
        shrink = 1.25 * scale
        colour = np.asarray(
            cv2.resize(colour, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8
        )
        mask = np.asarray(
            cv2.resize(mask, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.float32
        )
        matrix = matrix.copy()
        matrix[:, :2] /= shrink
    elif scale > 1.5:  # little detail and visible blocks: smooth the noise, not the edges, before enlarging
        colour = np.asarray(cv2.bilateralFilter(colour, 5, 9, 1.5), np.uint8)
    big = cv2.warpAffine(colour, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    big_mask = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # Frames are resampled linearly once or twice more: sharpen against the loss.
    sigma = max(0.7, 0.55 * scale)
    amount = 0.6 if scale > 1.5 else 0.35
    soft = cv2.GaussianBlur(big, (0, 0), sigma)
    sharp = cv2.addWeighted(big, 1 + amount, soft, -amount, 0)
    return np.asarray(sharp, np.uint8), np.clip(np.asarray(big_mask, np.float32), 0, 1)


def _extend_sides(pixels: Picture, inside: npt.NDArray[np.bool_]) -> Picture:
    """Returns the sides of a photo that is narrower than the frame: mirrored, blurred and darkened.

    inside: (w,), the columns that the photo covers.
    """
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (max(8, width // 8), max(8, height // 8)), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), height / 60)
    dark = cv2.convertScaleAbs(cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC), alpha=0.86)
    covered = np.flatnonzero(inside)
    columns = np.arange(width, dtype=np.float32)
    from_left = columns - covered[0] if covered[0] > 0 else np.full_like(columns, width)
    from_right = covered[-1] - columns if covered[-1] < width - 1 else np.full_like(columns, width)
    weight = smoothstep(0.0, max(3.0, height / 12), np.minimum(from_left, from_right))
    weight = np.ascontiguousarray(np.broadcast_to(weight, (height, width)))
    return np.asarray(cv2.blendLinear(pixels, dark, weight, 1 - weight), np.uint8)
