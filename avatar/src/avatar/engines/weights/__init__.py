"""The operator's weights: where they lie, whether they are the right ones, their strict way into networks."""

from avatar.engines.weights.checkpoint import read_checkpoint
from avatar.engines.weights.loading import LoadReport, strict_load, strict_load_tensors

__all__ = ["LoadReport", "read_checkpoint", "strict_load", "strict_load_tensors"]
