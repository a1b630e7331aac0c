"""The still picture that a photo engine moves: the portrait cut, scaled and cleaned for one output size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from avatar.face.landmarks import CHIN, FOREHEAD_TOP, Mask, Picture, Points
from avatar.face.portrait import Portrait, flatten

_CROP_FACES = 2.05  # height of the cut in heights of the face (forehead to chin)
_CROP_FACES_ACROSS = 1.5
_FACE_AT = 0.47


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
    inside = cv2.warpAffine(
        np.full(colour.shape[:2], 255, np.uint8), matrix, size, flags=cv2.INTER_NEAREST, borderValue=(0,)
    )
    if int(inside.min()) == 0:
        pixels = _extend_sides(pixels, np.asarray(inside, np.uint8))
        mask = np.asarray(mask * (np.asarray(inside, np.float32) / np.float32(255)), np.float32)
    return Stage(pixels, mask, points)


def _cut(portrait: Portrait, size: tuple[int, int]) -> tuple[float, float, float]:
    """(left, top) of the cut in the picture and the scale from picture to output."""
    width, height = size
    p = portrait.face.points
    face = float(np.hypot(*(p[CHIN, :2] - p[FOREHEAD_TOP, :2])))
    cut_h = max(_CROP_FACES * face, _CROP_FACES_ACROSS * face * height / width)
    # A person must not float: never cut below the picture. Beside it there may be nothing, see _extend_sides.
    cut_h = min(cut_h, float(portrait.height))
    cut_w = cut_h * width / height
    box = portrait.face.box
    centre_x, centre_y = (box[0] + box[2]) / 2, (float(p[CHIN, 1]) + float(p[FOREHEAD_TOP, 1])) / 2
    top = float(np.clip(centre_y - _FACE_AT * cut_h, 0, portrait.height - cut_h))
    left = centre_x - cut_w / 2
    if cut_w <= portrait.width:
        left = float(np.clip(left, 0, portrait.width - cut_w))
    return left, top, height / cut_h


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


def _extend_sides(pixels: Picture, inside: Picture) -> Picture:
    """Where the photo is narrower than the frame: its mirrored, heavily blurred and darkened continuation."""
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (max(8, width // 8), max(8, height // 8)), interpolation=cv2.INTER_AREA)
    blurred = cv2.resize(
        cv2.GaussianBlur(small, (0, 0), height / 60), (width, height), interpolation=cv2.INTER_CUBIC
    )
    feather = max(3.0, height / 12)
    distance = cv2.distanceTransform(np.pad(inside, 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    weight = np.clip(np.asarray(distance, np.float32) / np.float32(feather), 0, 1)
    weight = np.ascontiguousarray(weight * weight * (3 - 2 * weight))
    dark = cv2.convertScaleAbs(blurred, alpha=0.86)
    return np.asarray(cv2.blendLinear(pixels, dark, weight, 1 - weight), np.uint8)
