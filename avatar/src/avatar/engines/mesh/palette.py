"""Colours of a mouth's inside, taken from lips, skin and eyes of the picture so that they share its light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from avatar.engines.mesh.axes import Floats
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
