"""The denoiser compiled by torch (TorchInductor, with CUDA graphs on a card that keeps it): an option.

The first chunk takes minutes longer, so it pays for long videos only. What is compiled is for one number of
chunks and one length of them: `Clip` asks for no other within a clip.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from avatar.engines.latentsync.memory import Plan
from avatar.engines.latentsync.unet import LatentSyncUNet


class CompiledUNet:
    """Stands where the sampler expects the network; the same numbers but for rounding."""

    def __init__(self, unet: LatentSyncUNet, plan: Plan, **how: Any) -> None:
        # A graph replays on fixed addresses: a network that is parked between chunks has none.
        graphs = plan.device.type == "cuda" and not plan.park
        options = {"mode": "reduce-overhead" if graphs else None, "dynamic": False, "fullgraph": True} | how
        self._with_depth = torch.compile(unet.with_depth, **options)
        self._shallow = torch.compile(unet.shallow, **options)

    def with_depth(self, x: Tensor, step: Tensor, audio: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        torch.compiler.cudagraph_mark_step_begin()
        noise, depth = self._with_depth(x, step, audio, frames)
        return noise.clone(), depth.clone()  # the next replay writes over a graph's results

    def shallow(self, x: Tensor, step: Tensor, audio: Tensor, frames: int, depth: Tensor) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()
        noise: Tensor = self._shallow(x, step, audio, frames, depth).clone()
        return noise
