"""Frames that are told as ranges, however often a face comes and goes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from avatar.engines.motion.survey import ranges
from avatar.tracks import MAX_RANGES


@pytest.mark.parametrize(
    ("flags", "maximum", "expected"),
    [
        ("", 3, []),
        ("...", 3, []),
        ("###", 3, [(0, 2)]),
        (".#.##", 3, [(1, 1), (3, 4)]),
        ("#..#.#...#", 4, [(0, 0), (3, 3), (5, 5), (9, 9)]),
        ("#..#.#...#", 3, [(0, 0), (3, 5), (9, 9)]),
        ("#..#.#...#", 2, [(0, 5), (9, 9)]),
        ("#..#.#...#", 1, [(0, 9)]),
    ],
)
def test_the_nearest_are_told_as_one(flags: str, maximum: int, expected: list[tuple[int, int]]) -> None:
    assert ranges(np.array([flag == "#" for flag in flags], bool), maximum) == expected


def test_a_face_that_flickers_for_half_an_hour_is_a_bounded_result() -> None:
    flags = np.arange(45_000) % 2 == 0
    expected = ranges(flags)
    assert len(expected) == MAX_RANGES
    assert expected[0][0] == 0
    assert expected[-1][1] == 44_998
    assert all(a <= b for a, b in expected)
    assert all(last[1] < following[0] for last, following in pairwise(expected))
