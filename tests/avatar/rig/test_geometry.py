"""Paths of control points."""

from __future__ import annotations

import numpy as np
import pytest
import skia
from avatar.engines.rig.geometry import path


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("counts", [(4,), (13,), (7, 4, 22), (4, 4)])
def test_a_path_is_the_one_that_is_drawn_point_by_point(counts: tuple[int, ...], closed: bool) -> None:
    points = np.random.default_rng(3).normal(0.0, 100.0, (sum(counts), 2))
    expected = skia.Path()
    for contour in np.split(points, np.cumsum(counts)[:-1]):
        expected.moveTo(*contour[0])
        for at in range(1, len(contour), 3):
            expected.cubicTo(*contour[at : at + 3].ravel().tolist())
        if closed:
            expected.close()
    assert path(points, closed, counts) == expected
    assert path(points, closed, counts).countPoints() == sum(counts)
