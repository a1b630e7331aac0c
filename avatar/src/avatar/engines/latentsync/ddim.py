"""The deterministic DDIM sampler (Song et al. 2021, equation 12 with eta 0) as LatentSync is configured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

TRAINED_STEPS = 1000
BETA_START, BETA_END = 0.00085, 0.012
"""The square roots of the betas are spaced evenly between the square roots of these."""
OFFSET = 1
GATHER_POWER, GATHER_CENTRE = 1.4, 0.3
"""How full passes gather, and where on the way: the example of the paper's authors (15 of 50 steps)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way. Alphas are cumulative products: of this step, and of the one after it."""

    timestep: int
    alpha_cumprod: float
    alpha_cumprod_prev: float

    def apply(self, sample: Tensor, noise_pred: Tensor) -> Tensor:
        """Returns the latents after this step."""
        alpha, alpha_prev = self.alpha_cumprod, self.alpha_cumprod_prev
        pred_original_sample = (sample - (1 - alpha) ** 0.5 * noise_pred) / alpha**0.5
        return alpha_prev**0.5 * pred_original_sample + (1 - alpha_prev) ** 0.5 * noise_pred


def ddim_steps(count: int) -> tuple[Step, ...]:
    """Returns `count` steps, noisiest first. Past the last one lies the first alpha, not 1."""
    if not 1 <= count <= TRAINED_STEPS:
        raise ValueError(f"steps must be 1 to {TRAINED_STEPS}, not {count}")
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAINED_STEPS, dtype=torch.float32) ** 2
    alphas_cumprod = torch.cumprod(1.0 - betas, dim=0).tolist()
    stride = TRAINED_STEPS // count
    steps = []
    for index in reversed(range(count)):
        timestep = index * stride + OFFSET
        previous = timestep - stride
        alpha_prev = alphas_cumprod[previous] if previous >= 0 else alphas_cumprod[0]
        steps.append(Step(timestep, alphas_cumprod[timestep], alpha_prev))
    return tuple(steps)


def full_steps(count: int, reuse: int) -> tuple[int, ...]:
    """Returns which of `count` steps are full passes with DeepCache: as many as if it were every
    `reuse`th one, and the first among them.

    They gather where the deep features change fastest: evenly spaced in the signed root of the distance from
    a centre (Ma et al. 2024, DeepCache, "non-uniform 1:N"). That lies nearer to full steps than even spacing
    at the same cost (docs/figures/gpu.md).
    """
    full_count = len(range(0, count, reuse))
    if full_count == count:
        return tuple(range(count))
    centre = GATHER_CENTRE * count
    start, end = (_signed_power(far, 1 / GATHER_POWER) for far in (-centre, count - centre))
    spaced = (start + (end - start) * number / full_count for number in range(full_count))
    found = {0} | {int(centre + _signed_power(at, GATHER_POWER)) for at in spaced}
    while len(found) < full_count:  # two fell on one step: the widest gap is halved
        known = sorted(found)
        gap, at = max((after - before, before) for before, after in pairwise([*known, count]))
        found.add(at + gap // 2)
    return tuple(sorted(found))


def _signed_power(value: float, power: float) -> float:
    return math.copysign(abs(value) ** power, value)
