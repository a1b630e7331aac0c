"""Shades of clothes begin where they are clear: an edge of them would be seen as a seam."""

from __future__ import annotations

import pytest
from avatar.engines.rig.artwork import Linear, Shape
from avatar.engines.rig.characters import milo, nova, vera
from avatar.engines.rig.maker import clothes
from avatar.engines.rig.maker.palettes import tones

NEARLY = 0.01


def shades() -> list[Shape]:
    """Rectangles that darken one side of the clothes of drawn presenters."""
    bodies = [milo.BODY, nova.BODY, vera.BODY, clothes._cloth(tones("#c0623f"))]
    return [
        one
        for body in bodies
        for one in body
        if isinstance(one, Shape)
        and isinstance(one.fill, Linear)
        and one.inside
        and one.fill.stops[0][0].endswith("00")
        and one.outline.count("!") == 4
    ]


def test_there_are_shades() -> None:
    assert len(shades()) >= 4


@pytest.mark.parametrize("shade", shades(), ids=lambda one: one.outline)
def test_every_corner_of_a_shade_is_clear_or_full(shade: Shape) -> None:
    assert isinstance(shade.fill, Linear)
    (x0, y0), (x1, y1) = shade.fill.start, shade.fill.end
    length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    for knot in shade.outline.replace("!", "").split():
        x, y = map(float, knot.split(","))
        along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length
        assert along <= NEARLY or along >= 1 - NEARLY, knot
