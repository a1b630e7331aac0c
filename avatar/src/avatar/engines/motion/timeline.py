"""Maps frames of the result to moments of the footage: the speech sets the length.

Moments are counted in steps: positions in the chosen range at the frame rate of the result.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from avatar.engines.motion.footage import FrameTable

Steps = npt.NDArray[np.int64]
Fit = Literal["ping_pong", "loop", "trim"]

_NEAR_RATE = 0.05
_TURN_SEARCH = 0.15
_EASE_S = 0.24


def frames_of_steps(table: FrameTable, start_ms: float, fps: int, limit: int) -> Steps:
    """Frame numbers of at most `limit` steps, int64 (steps,); empty when the range holds no frame.

    A constant rate within 5 % of `fps` plays one to one: nobody sees it, while doubled frames would stutter.
    """
    inside = np.flatnonzero(table.times_ms >= start_ms - 1)
    if not len(inside):
        return np.zeros(0, dtype=np.int64)
    times = table.times_ms[inside]
    lengths = np.diff(times)
    constant = len(lengths) > 0 and float(np.percentile(np.abs(lengths - np.median(lengths)), 95)) < 2.0
    if constant and abs(table.frame_ms() * fps / 1000 - 1) <= _NEAR_RATE:
        return np.asarray(inside[:limit], dtype=np.int64)
    end = times[-1] + min(table.frame_ms(), 1000 / fps)
    moments = times[0] + np.arange(max(1, min(limit, int((end - times[0]) * fps / 1000)))) * 1000.0 / fps
    right = np.clip(np.searchsorted(times, moments), 1, max(1, len(times) - 1))
    left = right - 1
    nearest = np.where(
        moments - times[left] <= times[np.minimum(right, len(times) - 1)] - moments, left, right
    )
    return np.asarray(inside[np.minimum(nearest, len(times) - 1)], dtype=np.int64)


def lay_out(fit: Fit, steps: int, frames: int, fps: int, restless: npt.NDArray[np.float32]) -> Steps:
    """The step that each of `frames` frames shows, int64 (frames,).

    restless: float32 (steps,), how fast the head moves; turns and seams are put where it is still.
    """
    if frames <= steps or steps == 1 or fit == "trim":
        return np.asarray(np.minimum(np.arange(frames), steps - 1), dtype=np.int64)
    if fit == "loop":
        return np.asarray(np.arange(frames) % steps, dtype=np.int64)
    first, last = _turns(restless[:steps])
    return _swing(first, last, frames, fps)


def _turns(restless: npt.NDArray[np.float32]) -> tuple[int, int]:
    """The stillest steps near both ends of the range: a head that rests there turns back without a jerk."""
    steps = len(restless)
    reach = max(1, int(steps * _TURN_SEARCH))
    late = steps - reach
    last = late + int(np.argmin(restless[late:]))
    first = int(np.argmin(restless[:reach]))
    return (first, last) if last - first > steps // 2 else (0, steps - 1)


def _swing(first: int, last: int, frames: int, fps: int) -> Steps:
    """Forward from step 0 to `last`, back to `first` and so on, slowing down into each turn."""
    span = max(1, last - first)
    phase = (np.arange(frames + fps) - first) % (2 * span)
    path = first + np.where(phase <= span, phase, 2 * span - phase).astype(np.float64)
    path[:first] = np.arange(first)
    half = int(min(_EASE_S * fps / 2, span / 4))
    if half > 0:
        kernel = np.hanning(2 * half + 3)[1:-1]
        padded = np.concatenate([np.arange(-half, 0), path, np.full(half, path[-1])])
        path = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return np.asarray(np.clip(np.rint(path[:frames]), 0, last), dtype=np.int64)
