"""An animator with small networks of seeded weights."""

from __future__ import annotations

from typing import Any

import torch
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.networks import Networks
from avatar.engines.liveportrait.sizes import Sizes

SMALL = Sizes(
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


def small_networks() -> Any:
    """As they come from files: norms are not folded yet."""
    torch.manual_seed(5)
    small: Any = Networks(SMALL)
    for name, value in small.state_dict().items():
        if name.endswith(("weight_orig", "weight_u", "weight_v")):
            torch.nn.init.normal_(value)
    torch.nn.init.constant_(small.motion.detector.fc_scale.bias, 1.3)
    return small


def small_animator() -> Animator:
    return Animator(small_networks(), torch.device("cpu"), torch.float32)
