"""Says what about a portrait will show in a talking video, so that people can choose a better one."""

from __future__ import annotations

import cv2
import numpy as np

from avatar.face.landmarks import (
    CHIN,
    FOREHEAD_TOP,
    LEFT_EYE_LOWER,
    LEFT_EYE_OUTER,
    LEFT_EYE_UPPER,
    LOWER_INNER_LIP,
    NOSE_TIP,
    OVAL,
    RIGHT_EYE_LOWER,
    RIGHT_EYE_OUTER,
    RIGHT_EYE_UPPER,
    UPPER_INNER_LIP,
    FaceLandmarks,
    Picture,
)

WARNINGS = {
    "portrait.teeth_showing": "The mouth is open or shows teeth; closed, relaxed lips move better.",
    "portrait.turned": "The head is turned; a face that looks straight into the camera moves better.",
    "portrait.tilted": "The head is tilted; an upright head moves better.",
    "portrait.small_face": "The face is small in the picture; the video will look soft.",
    "portrait.blurry": "The face is out of focus or moved; the video will look soft.",
    "portrait.dark": "The face is dark; the inside of the mouth may look too bright.",
    "portrait.eyes_closed": "The eyes are nearly closed; they cannot blink.",
    "portrait.glasses": "The person wears glasses; brows and lids will move less, for its frame.",
    "portrait.half_face": "Part of the face lies beyond the edge of the picture; what is missing is made up.",
    "portrait.cropped": "The top of the head or the chin is cut off by the edge of the picture.",
}
"""Codes and sentences, shown to people and kept with a prepared portrait."""

_SMALL_E_PX = 70.0


def judge_portrait(image_bgr: Picture, face: FaceLandmarks) -> tuple[str, ...]:
    """Codes of WARNINGS that hold for a face in a picture (h, w, 3)."""
    p, e = face.points, max(1.0, face.eye_distance_px)
    gap = _mean_distance(face, UPPER_INNER_LIP[3:8], LOWER_INNER_LIP[3:8]) / e
    lids = 0.5 * (
        _mean_distance(face, LEFT_EYE_UPPER[2:7], LEFT_EYE_LOWER[2:7])
        + _mean_distance(face, RIGHT_EYE_UPPER[2:7], RIGHT_EYE_LOWER[2:7])
    )
    across = p[RIGHT_EYE_OUTER] - p[LEFT_EYE_OUTER]
    middle = (p[RIGHT_EYE_OUTER, :2] + p[LEFT_EYE_OUTER, :2]) / 2
    sideways = float((p[NOSE_TIP, :2] - middle) @ across[:2]) / e**2
    roll = float(np.degrees(np.arctan2(across[1], across[0])))
    skin = _skin_patch(image_bgr, face)
    height, width = image_bgr.shape[:2]
    outline = p[list(OVAL), 0]
    beside = max(-float(outline.min()), float(outline.max()) - width)
    holds = {
        "portrait.teeth_showing": gap > 0.022,
        "portrait.turned": abs(sideways) > 0.16,
        "portrait.tilted": abs(roll) > 10,
        "portrait.small_face": e < _SMALL_E_PX,
        "portrait.blurry": _sharpness(skin) < 0.012,
        "portrait.dark": float(skin.mean()) < 60,
        "portrait.eyes_closed": lids / e < 0.035,
        "portrait.glasses": wears_glasses(image_bgr, face),
        "portrait.half_face": beside > 0.1 * e,
        "portrait.cropped": float(p[FOREHEAD_TOP, 1]) < 0.12 * e or float(p[CHIN, 1]) > height - 0.05 * e,
    }
    return tuple(code for code, true in holds.items() if true)


def wears_glasses(image_bgr: Picture, face: FaceLandmarks) -> bool:
    """Returns whether a frame crosses the bridge of the nose and the cheek under the eyes: both are bare skin
    otherwise.
    """
    canonical = _upright(image_bgr, face, 200)
    grey = cv2.GaussianBlur(cv2.cvtColor(canonical, cv2.COLOR_BGR2GRAY), (0, 0), 1.5).astype(np.float32)
    steep = np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3)) / (grey + 20)
    # In the upright picture E is 200 px and the middle between the eyes lies at (200, 150).
    bridge = float(np.percentile(steep[120:200, 185:215].max(axis=0), 50))
    below = float(np.percentile(np.maximum(steep[172:240, 110:160].max(axis=0), 0), 50))
    below = max(below, float(np.percentile(steep[172:240, 240:290].max(axis=0), 50)))
    return bridge > 0.30 and below > 0.30


def _mean_distance(face: FaceLandmarks, first: tuple[int, ...], second: tuple[int, ...]) -> float:
    return float(np.linalg.norm(face.points[list(first), :2] - face.points[list(second), :2], axis=1).mean())


def _upright(image_bgr: Picture, face: FaceLandmarks, e_px: int) -> Picture:
    """The face turned upright and scaled so that E has `e_px` pixels; the eyes' middle at (e, 0.75 e)."""
    left, right = face.points[LEFT_EYE_OUTER, :2], face.points[RIGHT_EYE_OUTER, :2]
    scale = e_px / max(1.0, face.eye_distance_px)
    angle = float(np.degrees(np.arctan2(right[1] - left[1], right[0] - left[0])))
    middle = (left + right) / 2
    turned = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), angle, scale)
    matrix = np.asarray(turned, np.float64)
    matrix[:, 2] += np.array([e_px, 0.75 * e_px]) - middle
    upright: Picture = cv2.warpAffine(
        image_bgr, matrix, (2 * e_px, 2 * e_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.uint8, copy=False)
    return upright


def _skin_patch(image_bgr: Picture, face: FaceLandmarks) -> Picture:
    """The middle of the face as an upright grey picture (150, 150)."""
    grey: Picture = cv2.cvtColor(_upright(image_bgr, face, 150), cv2.COLOR_BGR2GRAY).astype(
        np.uint8, copy=False
    )
    return grey[60:210, 75:225]


def _sharpness(grey: Picture) -> float:
    """Strength of the finest edges relative to the brightness."""
    edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    return float(np.percentile(edges, 95)) / (float(grey.mean()) + 1) / 4
