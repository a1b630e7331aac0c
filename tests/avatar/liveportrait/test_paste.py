"""A crop goes back exactly where it came from."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from avatar.engines.liveportrait.paste import Paste, cut, soft_mask
from avatar.face.anchors import CropFrame

SIDE_PX = 512


def photo(width: int, height: int) -> npt.NDArray[np.uint8]:
    noise = np.random.default_rng(1).integers(0, 255, (height // 20, width // 20, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("size", [(1080, 1080), (1920, 1080)])
def test_what_was_cut_out_and_put_back_is_not_seen(size: tuple[int, int]) -> None:
    picture = photo(*size)
    matrix = CropFrame((size[0] / 2, 500), 620, 0.2).matrix(SIDE_PX)
    paste = Paste.of(matrix, soft_mask(SIDE_PX), size)
    assert paste is not None
    back = picture.copy()
    paste.onto(back, cut(picture, matrix, SIDE_PX))
    apart = np.abs(back.astype(int) - picture.astype(int))
    assert apart.mean() < 0.5
    assert apart.max() <= 12
    assert apart[: paste.y].max(initial=0) == 0, "above the crop nothing is touched"


def test_the_middle_is_the_crop_and_the_border_the_frame() -> None:
    frame = np.zeros((1080, 1080, 3), np.uint8)
    paste = Paste.of(CropFrame((540, 540), 400, 0).matrix(SIDE_PX), soft_mask(SIDE_PX), (1080, 1080))
    assert paste is not None
    paste.onto(frame, np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8))
    assert frame[540, 540].tolist() == [255, 255, 255]
    assert frame[540, 340].tolist() == [0, 0, 0]
    edge = frame[540, 340:400, 0].astype(int)
    assert (np.diff(edge) >= 0).all(), "no seam: it rises steadily"
    assert np.diff(edge).max() <= 32


def test_a_face_at_the_edge_is_drawn_as_far_as_it_is_there() -> None:
    frame = np.zeros((400, 600, 3), np.uint8)
    paste = Paste.of(CropFrame((10, 390), 300, 0.1).matrix(SIDE_PX), soft_mask(SIDE_PX), (600, 400))
    assert paste is not None
    paste.onto(frame, np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8))
    assert frame[390, 10].tolist() == [255, 255, 255]
    assert frame[10, 590].tolist() == [0, 0, 0]


def test_a_crop_outside_the_frame_is_no_paste() -> None:
    assert Paste.of(CropFrame((-900, 50), 100, 0).matrix(SIDE_PX), soft_mask(SIDE_PX), (600, 400)) is None


def test_half_strength_is_half_way() -> None:
    frame = np.zeros((400, 400, 3), np.uint8)
    paste = Paste.of(CropFrame((200, 200), 300, 0).matrix(SIDE_PX), soft_mask(SIDE_PX), (400, 400))
    assert paste is not None
    paste.onto(frame, np.full((SIDE_PX, SIDE_PX, 3), 200, np.uint8), 0.5)
    assert abs(int(frame[200, 200, 0]) - 100) <= 1
