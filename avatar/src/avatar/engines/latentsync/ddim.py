"""The deterministic DDIM sampler (Song et al. 2021, equation 12 with eta 0) as LatentSync is configured."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TRAINED_STEPS = 1000
BETA_START, BETA_END = 0.00085, 0.012
"""The square roots of the betas are spaced evenly between the square roots of these."""
OFFSET = 1


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way. `number` is what the UNet is told; alphas are cumulative products."""

    number: int
    alpha: float
    alpha_next: float

    def apply(self, x: Tensor, noise: Tensor) -> Tensor:
        """The latents after this step, given the noise that was predicted for them."""
        clean = (x - (1 - self.alpha) ** 0.5 * noise) / self.alpha**0.5
        return self.alpha_next**0.5 * clean + (1 - self.alpha_next) ** 0.5 * noise


def ddim_steps(count: int) -> tuple[Step, ...]:
    """`count` steps, noisiest first. Past the last one lies the first alpha, not 1."""
    if not 1 <= count <= TRAINED_STEPS:
        raise ValueError(f"steps must be 1 to {TRAINED_STEPS}, not {count}")
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAINED_STEPS, dtype=torch.float32) ** 2
    alphas = torch.cumprod(1.0 - betas, dim=0).tolist()
    stride = TRAINED_STEPS // count
    steps = []
    for index in reversed(range(count)):
        number = index * stride + OFFSET
        after = number - stride
        steps.append(Step(number, alphas[number], alphas[after] if after >= 0 else alphas[0]))
    return tuple(steps)
