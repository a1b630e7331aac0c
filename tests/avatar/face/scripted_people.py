"""People as flat rectangles, one colour each, and a tracker that misses narrow ones as a real one does."""

from __future__ import annotations

import cv2
import numpy as np
from avatar.face.landmarks import LEFT_EYE_OUTER, POINT_COUNT, RIGHT_EYE_OUTER, FaceLandmarks, Picture

SIZE = (960, 540)
BLUE, GREEN, RED = range(3)
Person = tuple[int, float, float, int]
"""Colour, centre and width; all are a quarter taller than wide."""


def picture_of(*people: Person) -> Picture:
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for colour, x, y, width in people:
        left, top, height = round(x - width / 2), round(y - width * 0.625), round(width * 1.25)
        picture[max(0, top) : top + height, max(0, left) : left + width, colour] = 255
    return picture


class ScriptedTracker:
    """Sees whoever is wholly inside the view and fills a tenth of its width. looks: the views' widths."""

    def __init__(self) -> None:
        self.looks: list[int] = []

    def track(self, image_bgr: Picture) -> list[FaceLandmarks]:
        height, width = image_bgr.shape[:2]
        self.looks.append(width)
        found = []
        for colour in range(3):
            left, top, wide, high = cv2.boundingRect((image_bgr[:, :, colour] > 127).astype(np.uint8))
            inside = left > 0 and top > 0 and left + wide < width and top + high < height
            if wide < 0.1 * width or not inside:
                continue
            points = np.zeros((POINT_COUNT, 3), np.float32)
            points[:, :2] = (left + wide / 2, top + high / 2)
            points[0, :2], points[1, :2] = (left, top), (left + wide, top + high)
            points[LEFT_EYE_OUTER, :2] -= (0.3 * wide, 0)
            points[RIGHT_EYE_OUTER, :2] += (0.3 * wide, 0)
            found.append(FaceLandmarks(points, 0.9))
        return sorted(found, key=lambda face: -face.area_px)

    def close(self) -> None: ...
