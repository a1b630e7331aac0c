"""An animator with small networks of seeded weights, and short clips of a face."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from clipmaker import Clip, Motion, make_clip
from skimage import data

if TYPE_CHECKING:
    from avatar.engines.liveportrait.animator import Animator


@pytest.fixture(scope="session")
def animator() -> Animator:
    torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
    sys.path.insert(0, str(Path(__file__).parent))
    from small_networks import small_animator

    torch.set_num_threads(1)  # see latentsync/conftest.py
    return small_animator()


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of 512 x 511 pixels: one row too many."""
    import cv2

    path = tmp_path_factory.mktemp("photo") / "portrait.png"
    rgb: np.ndarray[Any, Any] = data.astronaut()[:511]
    cv2.imwrite(str(path), rgb[..., ::-1])
    return path


@pytest.fixture(scope="session")
def driving(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    motion = Motion(yaw_deg=8, pitch_deg=2, roll_deg=3, mouth_e=0.1)
    return make_clip(
        tmp_path_factory.mktemp("clips") / "driving.mp4", "grace_hopper", seconds=1.0, motion=motion
    )


@pytest.fixture(scope="session")
def away(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Nobody is there from 0.3 s to 1.2 s."""
    motion = Motion(yaw_deg=5, pitch_deg=2, roll_deg=2, mouth_e=0.1)
    return make_clip(
        tmp_path_factory.mktemp("clips") / "away.mp4",
        "astronaut",
        seconds=1.6,
        motion=motion,
        absent_s=(0.3, 1.2),
    )
