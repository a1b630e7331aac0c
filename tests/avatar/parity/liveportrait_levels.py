"""Compares finished frames with figures of the original's, where some values may be a level apart."""

from __future__ import annotations

import numpy as np
from seeded import FIGURES_PER_ARRAY, Array, figures

FEW = 0.01
"""Of the values that are kept: one or two."""


def assert_levels(frames: Array, theirs: Array, error: float, *, most: int) -> None:
    """Values that are kept, and projections of all, are within `error` of the root mean square; but a few
    values may be whole levels off, `most` at most: a drawn face is brought to levels before it is laid back,
    and where one is nearly whole no two programs share its last bit.
    """
    ours = figures(frames)
    apart = np.abs(ours.astype(np.float64) - theirs)
    off = apart > error * theirs[-1]
    assert off[:FIGURES_PER_ARRAY].sum() <= FEW * FIGURES_PER_ARRAY, (
        f"{off[:FIGURES_PER_ARRAY].sum()} values of {FIGURES_PER_ARRAY} are off"
    )
    assert apart[:FIGURES_PER_ARRAY].max() <= most
    assert not off[FIGURES_PER_ARRAY:].any(), "the whole is off"
