"""Sharpness, exposure and colours of one picture; `avatar look` tells them to people."""

from __future__ import annotations

import cv2
import numpy as np

from avatar.face.landmarks import Picture
from avatar.face.scaling import at_most
from avatar.spec import ColourShare

_SHARPNESS_SIDE_PX = 640
_TILES = 8
_COLOURS_SIDE_PX = 64
_COLOURS = 5
_MIN_SHARE = 0.03
_NEARLY_BLACK, _NEARLY_WHITE = 10, 245


def sharpness(image_bgr: Picture) -> float:
    """Returns how sharp the sharpest tenth of a picture (h, w, 3) is: about 1 in focus, below 0.3 blurred.

    The spread of the Laplacian (Pech-Pacheco et al., ICPR 2000) over that of the brightness, per tile, at one
    size for all pictures: a sharp subject before a soft background counts as sharp, and dim light does not
    count as blur.
    """
    grey = cv2.cvtColor(at_most(image_bgr, _SHARPNESS_SIDE_PX), cv2.COLOR_BGR2GRAY).astype(np.float32)
    edges = cv2.Laplacian(grey, cv2.CV_32F)
    found = []
    for rows in np.array_split(np.arange(grey.shape[0]), _TILES):
        for columns in np.array_split(np.arange(grey.shape[1]), _TILES):
            if rows.size and columns.size:
                part = np.ix_(rows, columns)
                found.append(float(edges[part].std()) / (float(grey[part].std()) + 4.0))
    return round(float(np.percentile(found, 90)), 3)


def exposure(image_bgr: Picture) -> dict[str, float]:
    """Returns `brightness`, `contrast`, `underexposed` and `overexposed` of a picture (h, w, 3)."""
    luma = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
    low, high = np.percentile(luma, (10, 90))
    return {
        "brightness": round(float(luma.mean()) / 255, 3),
        "contrast": round(float(high - low) / 255, 3),
        "underexposed": round(float((luma <= _NEARLY_BLACK).mean()), 3),
        "overexposed": round(float((luma >= _NEARLY_WHITE).mean()), 3),
    }


def main_colours(image_bgr: Picture) -> tuple[ColourShare, ...]:
    """The colours most of a picture (h, w, 3) is made of, the largest first: k-means in L*a*b*."""
    small = at_most(image_bgr, _COLOURS_SIDE_PX)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_BGR2LAB).reshape(-1, 3)
    clusters = min(_COLOURS, len(lab))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    cv2.setRNGSeed(1)
    _, labels, centres = cv2.kmeans(
        lab, clusters, np.empty((len(lab), 1), np.int32), stop, 2, cv2.KMEANS_PP_CENTERS
    )
    bgr = cv2.cvtColor(centres.reshape(1, -1, 3).astype(np.float32), cv2.COLOR_LAB2BGR)[0]
    shares = np.bincount(labels.ravel(), minlength=clusters) / len(lab)
    joined: dict[str, float] = {}
    for (blue, green, red), share in zip(np.clip(bgr * 255 + 0.5, 0, 255).astype(int), shares, strict=True):
        name = f"#{red:02x}{green:02x}{blue:02x}"
        joined[name] = joined.get(name, 0.0) + float(share)
    largest = sorted(joined.items(), key=lambda entry: -entry[1])
    return tuple(
        ColourShare(colour=name, share=round(min(share, 1.0), 3))
        for name, share in largest
        if share >= _MIN_SHARE
    )
