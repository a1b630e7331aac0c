"""Moves a source face as a driving face moved: the arithmetic between motion extraction and stitching.

Formulas: LivePortrait (arXiv 2407.03168), section 3 and its published inference code; numpy alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from avatar.engines.liveportrait.motion_values import Array, Motion
from avatar.engines.liveportrait.sizes import KEYPOINTS

Region = Literal["all", "exp", "pose", "lip", "eyes"]
LIP_POINTS = (6, 12, 14, 17, 19, 20)
EYE_POINTS = (11, 13, 15, 16, 18)
_FREE_POINTS = (1, 2, 6, *range(11, 21))
"""Keypoints whose whole expression may be replaced; of a few others one or two axes may."""
PROCESS_VARIANCE, OBSERVATION_VARIANCE = 1e-5, 3e-7
LAG = 6
"""Frames the smoother looks ahead. A frame weighs 0.028 of the one before it, so more changes nothing."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class DriveStyle:
    """relative: the change since the first driving frame is added; otherwise the driving face is copied."""

    region: Region = "all"
    relative: bool = True


def neutral() -> Motion:
    """A face that does nothing: what changes are relative to when nobody was filmed."""
    still = np.zeros((KEYPOINTS, 3), np.float32)
    return Motion(still, still, np.eye(3, dtype=np.float32), np.zeros(3, np.float32), 1.0)


def target_motion(source: Motion, first: Motion, now: Motion, style: DriveStyle) -> tuple[Array, Array]:
    """Expression (21, 3) and rotation (3, 3) that the source should take on, before any smoothing."""
    if not style.relative:
        return now.exp, now.rotation
    turned = (now.rotation @ first.rotation.T) @ source.rotation
    return source.exp + (now.exp - first.exp), np.asarray(turned, np.float32)


def move_source(
    source: Motion,
    first: Motion,
    now: Motion,
    target: tuple[Array, Array],
    style: DriveStyle,
    *,
    filmed: bool = False,
) -> Motion:
    """The source with `target` (from `target_motion`, perhaps smoothed) in the region that is to move.

    filmed: the source is a video. It keeps its own place and size then, and fewer keypoints are replaced.
    """
    exp, rotation = target
    poses = style.region in ("all", "pose")
    t, scale = source.t, source.scale
    if poses and not style.relative:
        t = now.t
    elif poses and not filmed:
        t = source.t + (now.t - first.t)
    if style.region == "all" and style.relative and not filmed:
        scale = source.scale * (now.scale / first.scale)
    replaced = _replaced(style, filmed)
    return Motion(
        kp=source.kp,
        exp=np.where(replaced, exp, source.exp),
        rotation=rotation if poses else source.rotation,
        t=t,
        scale=scale,
    )


def _replaced(style: DriveStyle, filmed: bool) -> npt.NDArray[np.bool_]:
    """Returns which coordinates of the expression the driving face decides, (21, 3)."""
    mask = np.zeros((KEYPOINTS, 3), np.bool_)
    if style.region in ("lip", "eyes"):
        mask[list(LIP_POINTS if style.region == "lip" else EYE_POINTS)] = True
    elif style.region in ("all", "exp"):
        if style.relative and not filmed:
            mask[:] = True
        mask[list(_FREE_POINTS)] = True
        mask[3:5, 1] = True
        mask[(5, 8), 2] = True
        mask[9, 1:] = True
    return mask


def smooth(
    items: Iterable[tuple[Item, npt.NDArray[np.floating[Any]]]],
) -> Iterator[tuple[Item, Array]]:
    """Each item with its values smoothed over time, `LAG` items later: a Kalman filter over a random walk and
    a Rauch-Tung-Striebel pass back over the last `LAG` items, each value on its own.

    Memory does not grow; the difference to a pass over the whole clip is below float32's precision.
    """
    window: deque[tuple[Item, npt.NDArray[np.float64], float]] = deque()
    estimate: npt.NDArray[np.float64] | None = None
    variance = 1.0
    for item, values in items:
        seen = np.asarray(values, np.float64)
        predicted = 1.0 if estimate is None else variance + PROCESS_VARIANCE
        estimate = seen if estimate is None else estimate
        gain = predicted / (predicted + OBSERVATION_VARIANCE)
        estimate = estimate + gain * (seen - estimate)
        variance = (1 - gain) * predicted
        window.append((item, estimate, variance))
        if len(window) > LAG:
            yield _backwards(window)
            window.popleft()
    while window:
        yield _backwards(window)
        window.popleft()


def _backwards(window: deque[tuple[Item, npt.NDArray[np.float64], float]]) -> tuple[Item, Array]:
    """The first item of the window, with what the later ones tell about it."""
    later = window[-1][1]
    for index in range(len(window) - 2, -1, -1):
        _, estimate, variance = window[index]
        later = estimate + variance / (variance + PROCESS_VARIANCE) * (later - estimate)
    return window[0][0], np.asarray(later, np.float32)
