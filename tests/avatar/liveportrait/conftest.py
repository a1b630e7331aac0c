"""An animator with small networks of seeded weights, and short clips of a face."""

from __future__ import annotations

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
    from avatar.engines.liveportrait.animator import Animator
    from avatar.engines.liveportrait.networks import Networks
    from avatar.engines.liveportrait.sizes import Sizes

    torch.set_num_threads(2)
    torch.manual_seed(5)
    small: Any = Networks(
        Sizes(
            picture_px=64,
            channels=8,
            most_channels=32,
            volume_channels=4,
            volume_depth=8,
            volume_blocks=1,
            motion_channels=4,
            most_motion_channels=16,
            motion_levels=2,
            motion_features=1,
            generator_channels=8,
        )
    )
    for name, value in small.state_dict().items():
        if name.endswith(("weight_orig", "weight_u", "weight_v")):
            torch.nn.init.normal_(value)
    torch.nn.init.constant_(small.motion.detector.fc_scale.bias, 1.3)
    return Animator(small, torch.device("cpu"), torch.float32)


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
