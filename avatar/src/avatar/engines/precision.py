"""In which numbers the networks of the engines on torch compute."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from avatar.errors import Unavailable

Precision = Literal["auto", "fp32", "fp16", "bf16"]
FAST_FP16, NATIVE_BF16 = (7, 0), (8, 0)
"""Compute capabilities: Pascal computes fp16 at a sixty-fourth of its speed, Turing (7.5) has no bf16."""


def dtype_of(precision: Precision, usual: torch.dtype) -> torch.dtype:
    """`usual` is what "auto" means."""
    if precision == "auto":
        return usual
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]


def card_dtype(precision: Precision) -> torch.dtype:
    """For the first card: fp16 unless the card is too old for it. fp16 lies nearer to float32 than bf16 does,
    and the checkpoints were trained with it. Raises Unavailable `gpu.no_bf16`.
    """
    able = torch.cuda.get_device_capability()
    if precision == "bf16" and able < NATIVE_BF16:
        raise Unavailable(
            "gpu.no_bf16",
            f"This card (compute capability {able[0]}.{able[1]}) has no bf16.",
            "Leave out --precision: fp16 is as small, and nearer to fp32.",
        )
    return dtype_of(precision, torch.float16 if able >= FAST_FP16 else torch.float32)


def require_finite(tensor: Tensor, engine: str) -> None:
    """Of what networks have made, in the numbers they computed in, before anything keeps or shows it: what is
    no number would become a black spot. Raises Unavailable `gpu.not_finite`. Waits for the card.
    """
    if bool(torch.isfinite(tensor).all()):
        return
    lost, numbers = int((~torch.isfinite(tensor)).sum()), str(tensor.dtype).removeprefix("torch.")
    raise Unavailable(
        "gpu.not_finite",
        f"{lost} of {tensor.numel()} values that {engine} computed in {numbers} are no numbers.",
        "Use --precision fp32: a value may be beyond what smaller numbers hold."
        if tensor.dtype != torch.float32
        else "Look at the weights (avatar models verify) and at the card (nvidia-smi).",
    )
