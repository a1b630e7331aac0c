"""Smooth random curves for idle motion; used by `head` and `eyes`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_SPLINE_SD = 0.6925
"""Standard deviation of a cubic B-spline through unit white noise, averaged over time: sqrt(151/315)."""


def generator(seed: int, stream: int) -> np.random.Generator:
    """An independent random stream per purpose: changing the blinks does not change the head."""
    return np.random.default_rng(np.random.SeedSequence([seed, stream]))


def smooth_noise(rng: np.random.Generator, times: Array, knot_s: float) -> Array:
    """Twice continuously differentiable noise of unit variance, with nothing above about 1/(2 knot_s) Hz.

    A uniform cubic B-spline over normal knots: no filter start-up, and a longer clip begins like a shorter
    one.
    """
    if not len(times):
        return np.zeros(0)
    position = (times - times[0]) / knot_s
    cell = position.astype(np.intp)
    knots = rng.standard_normal(int(cell[-1]) + 4)
    t = position - cell
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    total = sum((weight * knots[cell + index] for index, weight in enumerate(weights)), np.zeros(len(times)))
    return np.asarray(total / 6 / _SPLINE_SD)


def steps(times: Array, moments: Array, targets: Array, length_s: Array | float, start: float = 0.0) -> Array:
    """A level that glides to `targets[i]` from `moments[i]` on within `length_s` and stays there until the
    next.
    """
    levels = np.concatenate(([start], targets))
    index = np.searchsorted(moments, times, side="right")
    if not len(moments):
        return np.full(len(times), start)
    current = np.maximum(index - 1, 0)
    lengths = np.broadcast_to(np.asarray(length_s, dtype=np.float64), moments.shape)
    position = np.where(index > 0, (times - moments[current]) / lengths[current], 0.0)
    before = levels[np.maximum(index - 1, 0)]
    return np.asarray(before + (levels[index] - before) * glide(position))


def glide(position: Array) -> Array:
    """Minimum-jerk step from 0 to 1 (Flash & Hogan 1985) for `position` 0..1."""
    x = np.clip(position, 0.0, 1.0)
    return np.asarray(x**3 * (10 + x * (6 * x - 15)))
