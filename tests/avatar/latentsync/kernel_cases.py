"""Prints the largest error of each Triton kernel against torch in float64, relative to what it should be.

    python kernel_cases.py cpu|cuda float32|float16|bfloat16

On the processor Triton interprets its kernels (TRITON_INTERPRET=1).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import torch
from avatar.engines.latentsync import fused, kernels
from torch import Tensor, nn

GROUPS = 8


def error(ours: Tensor, expected: Tensor) -> float:
    return ((ours.double().cpu() - expected.double().cpu()).norm() / expected.double().cpu().norm()).item()


def cases(device: str, dtype: torch.dtype) -> Iterator[tuple[str, float]]:
    def draw(*shape: int, mean: float = 0.0) -> Tensor:
        return (torch.randn(shape) * 0.5 + mean).to(device, dtype)

    def norm_of(kind: type[nn.Module], *sizes: Any) -> Any:
        norm: Any = kind(*sizes)
        nn.init.normal_(norm.weight, 1, 0.2)
        nn.init.normal_(norm.bias, 0, 0.2)
        return norm.to(device, dtype)

    def to_double(value: Any) -> Any:
        if isinstance(value, nn.GroupNorm):
            other: nn.Module = nn.GroupNorm(value.num_groups, value.num_channels, value.eps)
        elif isinstance(value, nn.LayerNorm):
            other = nn.LayerNorm(list(value.normalized_shape), value.eps)
        else:
            return value.double().cpu() if isinstance(value, Tensor) else value
        other.load_state_dict({name: one.double().cpu() for name, one in value.state_dict().items()})
        return other.double()

    for chunks, frames, channels, side in ((2, 3, 40, 5), (3, 1, 96, 6), (1, 4, 64, 4)):
        picture = draw(chunks * frames, channels, side, side, mean=4.0)
        picture = picture.to(memory_format=torch.channels_last)
        norm = norm_of(nn.GroupNorm, GROUPS, channels)
        for silu, added in ((False, None), (True, None), (True, draw(channels))):
            ours = kernels.group_norm(picture, norm, frames, silu, added)
            expected = fused.group_norm(
                to_double(picture), to_double(norm), frames, silu=silu, added=to_double(added)
            )
            yield "group_norm", error(ours, expected)
        other, bias = draw(*picture.shape), draw(channels)
        ours = kernels.add_biased(picture, other, bias)
        yield (
            "add_biased",
            error(ours, fused.add_biased(to_double(picture), to_double(other), to_double(bias))),
        )

        tokens, branch = (
            draw(chunks * frames, side * side, channels),
            draw(chunks * frames, side * side, channels),
        )
        line, table = norm_of(nn.LayerNorm, channels), draw(frames, channels)
        for extra in (None, table):
            summed, normed = kernels.add_layer_norm(tokens, branch, line, extra, frames)
            both = fused.add_layer_norm(*map(to_double, (tokens, branch, line, extra)), frames)
            yield "add_layer_norm", max(error(summed, both[0]), error(normed, both[1]))
            alone = kernels.add_layer_norm(tokens, None, line, extra, frames)[1]
            yield "layer_norm", error(alone, fused.layer_norm(*map(to_double, (tokens, line, extra)), frames))
        yield "geglu", error(kernels.geglu(tokens), fused.geglu(to_double(tokens)))

    shapes = ((16, 6, 80, 2), (5, 9, 64, 4), (1, 3, 32, 2), (24, 3, 40, 1), (16, 3, 320, 2))
    for frames, places, channels, heads in shapes:
        three = [draw(2 * frames, places, channels) for _ in range(3)]
        ours = kernels.attend_over_frames(*three, heads, frames)
        yield (
            "attend_over_frames",
            error(ours, fused.attend_over_frames(*map(to_double, three), heads, frames)),
        )


def main() -> None:
    device, dtype = sys.argv[1], getattr(torch, sys.argv[2])
    torch.manual_seed(1)
    largest: dict[str, float] = {}
    for name, found in cases(device, dtype):
        largest[name] = max(found, largest.get(name, 0.0))
    print(json.dumps(largest))


if __name__ == "__main__":
    main()
