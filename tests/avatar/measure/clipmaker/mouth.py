"""Cuts a mouth open in a photo: lower lip and chin slide down, a dark gap with teeth appears."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from clipmaker.person import Person, Pixels

_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)


def open_mouth(person: Person, opening_e: float) -> Pixels:
    """The person's BGRA pixels with the inner lips `opening_e` (in E) further apart than on the photo."""
    if opening_e <= 0.002:
        return person.pixels
    e = person.eye_distance
    upper, lower = person.points[list(_UPPER), :2], person.points[list(_LOWER), :2]
    # Teeth that the photo shows stay with the upper jaw: the cut runs under them.
    bared = float(np.linalg.norm(upper[5] - lower[5])) > 0.03 * e
    lips = lower if bared else (upper + lower) / 2
    left, right = lips[0], lips[-1]
    middle, half = (left + right) / 2, float(np.linalg.norm(right - left)) / 2
    chin = float(person.points[152, 1])
    x0, x1 = int(middle[0] - 1.1 * e), int(middle[0] + 1.1 * e)
    y0, y1 = int(lips[:, 1].min() - 0.1 * e), int(chin + 0.6 * e)
    x0, y0 = max(x0, 0), max(y0, 0)
    x1, y1 = min(x1, person.pixels.shape[1]), min(y1, person.pixels.shape[0])
    xs, ys = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
    line = np.interp(xs[0], lips[:, 0], lips[:, 1]).astype(np.float32)[None, :]
    u = (xs - middle[0]) / half
    arch = np.sqrt(np.clip(1 - u**2, 0, 1))
    gap = opening_e * e * arch
    sink = opening_e * e * np.maximum(arch, 0.8 * np.exp(-((u / 1.4) ** 2)))
    source = ys.copy()
    for _ in range(4):
        fade = 1 - _smooth((source - chin) / (0.5 * e))
        near = _smooth((source - line) / (0.25 * e))
        source = ys - (gap * (1 - near) + sink * near) * fade
    below = ys >= line + gap
    source = np.where(below, np.maximum(source, line + 0.5), np.minimum(ys, line - 0.5))
    patch = cv2.remap(
        person.pixels, xs, source.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    hole = (ys > line) & ~below
    teeth = hole & (ys < line + np.minimum(gap * 0.45, 0.06 * e)) & (np.abs(u) < 0.75) & (not bared)
    inside = np.zeros_like(patch)
    inside[...] = (28, 22, 58, 255)
    inside[teeth] = (186, 200, 206, 255)
    inside = cv2.GaussianBlur(inside, (0, 0), 0.012 * e)
    soft = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 0.008 * e)[..., None]
    mixed = inside * soft + patch * (1 - soft)
    result = person.pixels.copy()
    result[y0:y1, x0:x1] = np.where(hole[..., None], mixed, patch).astype(np.uint8)
    return result


def _smooth(t: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)
