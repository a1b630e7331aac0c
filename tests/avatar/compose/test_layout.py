"""Rectangles clip, grow to even corners and never overlap after merging."""

import itertools
import random

from avatar.compose.layout import Rect, merge_rects, place
from avatar.spec import Box, Canvas

CANVAS = Rect(0, 0, 320, 180)


def test_a_box_is_placed_in_fractions_of_the_canvas():
    assert place(Box(x=0.25, y=0.5, width=0.5, height=0.25), Canvas(width=320, height=180)) == Rect(
        80, 90, 160, 45
    )


def test_a_box_that_reaches_outside_is_clipped():
    assert Rect(-10, 170, 50, 40).within(CANVAS) == Rect(0, 170, 40, 10)
    assert Rect(400, 0, 5, 5).within(CANVAS).empty


def test_even_corners_grow_outwards_and_stay_inside():
    assert Rect(3, 5, 4, 4).even(CANVAS) == Rect(2, 4, 6, 6)
    assert Rect(319, 179, 1, 1).even(CANVAS) == Rect(318, 178, 2, 2)


def test_merged_rectangles_cover_all_and_overlap_nowhere():
    chance = random.Random(3)  # noqa: S311 - no secret hangs on it
    for _ in range(100):
        rects = [
            Rect(chance.randrange(90), chance.randrange(90), chance.randrange(30), chance.randrange(30))
            for _ in range(chance.randrange(1, 7))
        ]
        apart = merge_rects(rects)
        for one, other in itertools.combinations(apart, 2):
            assert one.within(other).empty
        for rect in rects:
            assert rect.empty or any(rect.within(cover) == rect for cover in apart)
