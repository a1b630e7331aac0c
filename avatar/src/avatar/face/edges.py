"""Pulls a soft, coarse mask to the edges of its picture; used behind the segmentation port."""

from __future__ import annotations

import cv2
import numpy as np

from avatar.face.landmarks import Mask, Picture

_WORK_SIDE_PX = 640
_RADIUS = 1 / 80  # of the longer side: wider than the error of a 256-pixel mask, narrower than a neck
_EPSILON = 2e-4


def refine_edges(image_bgr: Picture, mask: Mask) -> Mask:
    """Guided filter of a (h, w) mask with its picture as the guide; float32 (h, w) in 0..1.

    After He, Sun, Tang: Guided Image Filtering, ECCV 2010.
    """
    height, width = image_bgr.shape[:2]
    scale = min(1.0, _WORK_SIDE_PX / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    grey = cv2.cvtColor(cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    guide = grey.astype(np.float32) / np.float32(255)
    source = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), np.float32)
    side = 2 * max(2, round(_RADIUS * max(size))) + 1

    def mean(values: Mask) -> Mask:
        blurred = cv2.boxFilter(values, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REFLECT)
        return np.asarray(blurred, np.float32)

    guide_mean, source_mean = mean(guide), mean(source)
    covariance = mean(guide * source) - guide_mean * source_mean
    slope = covariance / (mean(guide * guide) - guide_mean**2 + np.float32(_EPSILON))
    offset = cv2.resize(mean(source_mean - slope * guide_mean), (width, height))
    slope = np.asarray(cv2.resize(mean(slope), (width, height)), np.float32)
    full = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255
    refined = np.clip(slope * full + offset, 0, 1)
    # A filtered mask is grey inside flat areas: push what is nearly sure to sure.
    return np.asarray(np.clip((refined - 0.08) / 0.84, 0, 1), np.float32)
