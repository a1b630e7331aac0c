"""Planes hold the BT.709 values of the pixels they were made from, and parts land where they belong."""

import numpy as np
import pytest
from avatar.compose.colour import Planes
from avatar.compose.layout import Rect


@pytest.mark.parametrize(
    "bgr", [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (40, 120, 200), (7, 8, 9)]
)
def test_flat_colours_have_the_values_of_the_standard(bgr):
    blue, green, red = (value / 255 for value in bgr)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    planes = Planes.of(np.full((34, 52, 3), bgr, np.uint8))
    assert np.abs(planes.y - (16 + 219 * luma)).max() <= 0.75
    assert np.abs(planes.cb - (128 + 224 * (blue - luma) / 1.8556)).max() <= 0.75
    assert np.abs(planes.cr - (128 + 224 * (red - luma) / 1.5748)).max() <= 0.75


def test_chroma_is_the_mean_of_its_block():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:, ::2] = (0, 0, 255)
    planes = Planes.of(picture)
    red, black = (
        Planes.of(np.full((4, 4, 3), (0, 0, 255), np.uint8)),
        Planes.of(np.zeros((4, 4, 3), np.uint8)),
    )
    mean = (int(red.cr[0, 0]) + int(black.cr[0, 0])) / 2
    assert np.abs(planes.cr - mean).max() <= 1


def test_a_part_replaces_its_region_and_nothing_else():
    planes = Planes.of(np.full((40, 60, 3), 90, np.uint8))
    before = planes.to_bgr()
    planes.put(Rect(20, 10, 8, 12), np.full((12, 8, 3), (10, 200, 30), np.uint8))
    after = planes.to_bgr()
    changed = np.abs(after.astype(int) - before).max(axis=2) > 20
    assert changed[10:22, 20:28].all()
    changed[10:22, 20:28] = False
    assert not changed.any()


def test_a_picture_survives_the_way_there_and_back():
    yy, xx = np.mgrid[:120, :160]
    smooth = np.stack([xx, yy * 2, 255 - xx], axis=2).astype(np.uint8)
    assert np.abs(Planes.of(smooth).to_bgr().astype(int) - smooth).max() <= 4
