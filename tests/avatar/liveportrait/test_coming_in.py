"""The strength of the moved face in a filmed source whose face is lost, comes back, or comes in later."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines.liveportrait.reenactment import Reenactment  # noqa: E402


class Still:
    """An animator's door: how strongly a face shows is decided before any network."""

    side_px = 32
    networks = SimpleNamespace(sizes=SimpleNamespace(output_px=64))

    def motions(self, crops: list[Any]) -> list[None]:
        return [None] * len(crops)


def strengths(seen: str, batch: int) -> list[float]:
    """Of each frame; in `seen`, `x` is a face and `.` none."""
    still: Any = Still()
    drawing = Reenactment(still, batch=batch)
    picture = np.zeros((120, 120, 3), np.uint8)
    face = np.random.default_rng(0).normal(60, 15, (478, 3)).astype(np.float32)
    frames = [(picture, face if one == "x" else None) for one in seen]
    driving: list[Any] = [None] * len(frames)
    waiting: deque[Any] = deque()
    list(drawing._pairs(frames, driving, waiting))
    return [round(one.strength, 2) for one in waiting]


@pytest.mark.parametrize("batch", [1, 4])
def test_a_face_that_was_lost_comes_back_step_by_step(batch: int) -> None:
    shown = strengths("xxx" + "." * 16 + "xxxxx", batch)
    assert shown[:3] == [1.0] * 3
    assert shown[3:9] == [1.0] * 6, "a blink of the tracker shows nothing"
    assert shown[15:19] == [0.0] * 4
    assert shown[19:] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_whoever_comes_in_later_is_drawn_step_by_step_and_who_is_there_at_once() -> None:
    assert strengths("xx", 2) == [1.0, 1.0]
    assert strengths("....xxxxx", 2) == [0.0] * 4 + [0.25, 0.5, 0.75, 1.0, 1.0]
