"""Blinks and gaze; called by `control_track`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avatar.timing.noise import Array, generator, glide, steps
from avatar.timing.style import MotionStyle

CLOSE_S, HOLD_S, OPEN_S = 0.075, 0.040, 0.170
BLINK_SPREAD = 0.45
"""Sigma of the log-normal interval."""
DOUBLE_SHARE = 0.12
PHRASE_END_REACH_S = 0.8
MIN_BLINK_S = 0.7
SACCADE_S = 0.05
FIXATION_S, ASIDE_S = 1.5, 0.55
"""Median time of a look at the viewer and of a look aside."""
ASIDE_SHARE = 0.3
FIXATION_REACH, ASIDE_REACH = 0.07, 0.45
COUNTER_ROTATION = 0.8
GAZE_LIMIT = 0.8
"""Beyond it the iris pictures tear on photos."""
DEGREES_PER_GAZE = 9.9
"""Eye rotation of gaze 1: 0.35 iris radius (5.9 mm) on an eyeball of 12 mm radius."""


def blinks(times: Array, phrase_ends: Sequence[float], seed: int, style: MotionStyle) -> Array:
    """Lid curve 0..1. Blinks come after log-normal times, one in eight is double, and phrase ends attract
    them.
    """
    curve = np.zeros(len(times))
    if len(times) < 2:
        return curve
    rng = generator(seed, 1)
    step = times[1] - times[0]
    ends = np.asarray(phrase_ends)
    at = float(times[0]) + float(rng.uniform(0.4, 1.0)) * style.blink_interval_s
    previous = -10.0
    while at < times[-1]:
        first, last = np.searchsorted(ends, (at - PHRASE_END_REACH_S, at + PHRASE_END_REACH_S))
        if first < last and rng.random() < 0.75:
            near = ends[first:last] + 0.1
            at = float(near[np.argmin(np.abs(near - at))])
        at = max(at, previous + MIN_BLINK_S)
        _add_blink(curve, times, at, step)
        if rng.random() < DOUBLE_SHARE:
            at += float(rng.uniform(0.34, 0.45))
            _add_blink(curve, times, at, step)
        previous = at
        at += style.blink_interval_s * float(np.exp(BLINK_SPREAD * rng.standard_normal()))
    return curve


def _add_blink(curve: Array, times: Array, at: float, step: float) -> None:
    """One lid closure; its middle falls on a frame, or a slow frame rate would never show closed lids."""
    middle = round((at - times[0]) / step)
    reach = int(np.ceil((CLOSE_S + HOLD_S + OPEN_S) / step)) + 1
    first, last = max(0, middle - reach), min(len(times), middle + reach + 1)
    if first >= last:
        return
    away = (np.arange(first, last) - middle) * step
    lid = np.where(
        away < 0,
        glide((away + HOLD_S / 2 + CLOSE_S) / CLOSE_S),
        1 - glide((away - HOLD_S / 2) / OPEN_S),
    )
    np.maximum(curve[first:last], lid, out=curve[first:last])


def gaze(
    times: Array, yaw_deg: Array, pitch_deg: Array, seed: int, style: MotionStyle
) -> tuple[Array, Array]:
    """Horizontal and vertical gaze: fixations on the viewer with short looks aside, eyes turning against the
    head.
    """
    moments, targets = _fixations(times, generator(seed, 2))
    x = style.gaze * steps(times, moments, targets[:, 0], SACCADE_S)
    y = style.gaze * steps(times, moments, targets[:, 1], SACCADE_S)
    # Eyes that keep looking at the viewer turn against the head (the vestibulo-ocular reflex).
    x -= COUNTER_ROTATION * yaw_deg / DEGREES_PER_GAZE
    y -= COUNTER_ROTATION * pitch_deg / DEGREES_PER_GAZE
    return np.clip(x, -GAZE_LIMIT, GAZE_LIMIT), np.clip(y, -GAZE_LIMIT, GAZE_LIMIT)


def _fixations(times: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Returns the times of the eyes' jumps and their targets (gaze units, shape (jumps, 2))."""
    moments: list[float] = []
    targets: list[tuple[float, float]] = []
    at, aside = float(times[0]) if len(times) else 0.0, False
    while len(times) and at < times[-1]:
        median_s = ASIDE_S if aside else FIXATION_S
        at += median_s * float(np.exp(0.5 * rng.standard_normal()))
        aside = not aside and rng.random() < ASIDE_SHARE
        reach = ASIDE_REACH if aside else FIXATION_REACH
        moments.append(at)
        targets.append((reach * float(rng.standard_normal()), 0.5 * reach * float(rng.standard_normal())))
    return np.array(moments), np.array(targets).reshape(-1, 2)
