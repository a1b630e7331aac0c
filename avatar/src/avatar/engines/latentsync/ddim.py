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
"""How whole steps gather, and where on the way: the example of the paper's authors (15 of 50 steps)."""


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


def whole_steps(count: int, reuse: int) -> tuple[int, ...]:
    """Which of `count` steps compute the whole network when the depth is reused: as many as if it were every
    `reuse`th one, and the first among them.

    They gather where the depth changes fastest: evenly spaced in the signed root of the distance from a
    centre (Ma et al. 2024, DeepCache, "non-uniform 1:N"). That lies nearer to full steps than even spacing at
    the same cost (docs/figures/gpu.md).
    """
    wanted = len(range(0, count, reuse))
    if wanted == count:
        return tuple(range(count))
    centre = GATHER_CENTRE * count
    start, end = (_signed_power(far, 1 / GATHER_POWER) for far in (-centre, count - centre))
    spaced = (start + (end - start) * number / wanted for number in range(wanted))
    found = {0} | {int(centre + _signed_power(at, GATHER_POWER)) for at in spaced}
    while len(found) < wanted:  # two fell on one step: the widest gap is halved
        known = sorted(found)
        gap, at = max((after - before, before) for before, after in pairwise([*known, count]))
        found.add(at + gap // 2)
    return tuple(sorted(found))


def _signed_power(value: float, power: float) -> float:
    return math.copysign(abs(value) ** power, value)
