"""In which numbers the networks of the engines on torch compute."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "fp32", "fp16", "bf16"]


def dtype_of(precision: Precision, usual: torch.dtype) -> torch.dtype:
    """`usual` is what "auto" means."""
    if precision == "auto":
        return usual
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
