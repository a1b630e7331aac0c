"""Compares pictures outside of the person: did the background stand still? For tests and `make look`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from avatar.judge.video_measures import Pixels, frames_of

Mask = npt.NDArray[np.bool_]
_SAMPLES = 12


def ssim_in_mask(picture: Pixels, reference: Pixels, mask: Mask) -> float:
    """Mean SSIM (Wang et al. 2004, Gaussian window sigma 1.5) of two BGR pictures where `mask` is true."""
    if not mask.any():
        raise ValueError("the mask is empty")
    a = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    b = cv2.cvtColor(reference, cv2.COLOR_BGR2GRAY).astype(np.float32)
    mean_a, mean_b = _window(a), _window(b)
    var_a = _window(a * a) - mean_a**2
    var_b = _window(b * b) - mean_b**2
    covariance = _window(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ssim = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    )
    return float(ssim[mask].mean())


def background_ssim(
    video: Path | Iterable[Pixels], mask: Mask | None = None, reference: Pixels | None = None
) -> float:
    """The worst SSIM of sampled frames against `reference` (default: their median) where `mask` is true.

    The default mask is what MediaPipe's selfie segmentation calls background in every sampled frame.
    """
    frames = list(frames_of(video)) if isinstance(video, Path) else list(video)
    samples = frames[:: max(1, len(frames) // _SAMPLES)]
    if mask is None:
        mask = background_mask(samples)
    if reference is None:
        reference = np.median(np.stack(samples), axis=0).astype(np.uint8)
    return min(ssim_in_mask(frame, reference, mask) for frame in samples)


def background_mask(frames: Iterable[Pixels]) -> Mask:
    """True where no frame shows a person, with a margin of 4 % of the height round the person."""
    from mediapipe.python.solutions import selfie_segmentation

    person: npt.NDArray[np.float32] | None = None
    model: Any = selfie_segmentation.SelfieSegmentation(model_selection=0)
    with closing(model):
        for frame in frames:
            seen = model.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).segmentation_mask
            person = seen if person is None else np.maximum(person, seen)
    if person is None:
        raise ValueError("no frames to look at")
    margin = max(3, round(0.04 * person.shape[0])) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    grown = cv2.dilate((person > 0.2).astype(np.uint8), kernel)
    return np.asarray(grown == 0)


def _window(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), dtype=np.float32)
