"""LatentSync on tiny random networks on either device, in any mode and numbers, and how far two results lie
apart; what the tests of devices share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import latentsync_cases as cases
import numpy as np
import torch
from avatar.engines.card_mode import Mode
from avatar.engines.latentsync.clip import Clip, Settings
from avatar.engines.latentsync.loading import Networks
from avatar.engines.latentsync.memory import Plan, in_mode
from avatar.engines.latentsync.shapes import UNetShape
from avatar.engines.latentsync.vae import open_vae
from test_clip import frame_inputs

MODES: tuple[Mode, ...] = ("low", "middle", "full", "large")
SETTINGS = Settings(steps=2, side_px=64)
NUMBERS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def tiny_networks() -> Networks:
    """Two levels of the denoiser's four, all kinds of layers; nobody hears, for tokens are given."""
    unet = cases.our_unet(UNetShape(block_channels=(32, 32), layers_per_block=1))
    vae = open_vae(block_out_channels=(32,) * 4, layers_per_block=1, sample_size=64)
    cases.fill(vae, 3)
    return Networks(unet, torch.nn.Identity(), vae)  # type: ignore[arg-type]


def ways(device: str, numbers: str = "fp32", mode: Mode = "middle") -> Plan:
    """Returns the plan of a run in `mode`."""
    return in_mode(mode, Plan(torch.device(device), NUMBERS[numbers]))


def draw_clip(
    networks: Networks, plan: Plan, count: int, resume_cache: Any = None, **changes: Any
) -> np.ndarray:
    """`count` frames of the synthetic speaker by a copy of the networks, which are moved and cast."""
    copies = deepcopy(networks)
    place = torch.device("cpu") if plan.park else plan.device
    for network in (copies.unet, copies.vae):
        torch.nn.Module.to(network, place, plan.dtype)
    arguments = () if resume_cache is None else (lambda: None, resume_cache)
    settings = replace(SETTINGS, **changes)
    clip = Clip(copies, plan, settings, *arguments)
    return np.stack(list(clip.draw(frame_inputs(count, side_px=settings.side_px), count))).astype(int)


def apart(one: np.ndarray, other: np.ndarray, what: str) -> tuple[int, float]:
    """The most and the mean of the levels (of 255) between two results; `pytest -rA` shows them."""
    between = np.abs(one - other)
    most, mean = int(between.max()), float(between.mean())
    print(f"{what}: {most} levels apart at most, {mean:.5f} on average")
    return most, mean


@contextmanager
def whole_float32() -> Iterator[None]:
    """Without TF32, to whose ten bits cuDNN rounds what goes into a convolution: what is left between two
    ways through the same network is the order of its sums.
    """
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
