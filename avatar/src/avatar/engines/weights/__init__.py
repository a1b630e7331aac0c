"""The operator's weights: where they lie, whether they are the right ones, their strict way into networks."""

from avatar.engines.weights.checkpoint import read_checkpoint
from avatar.engines.weights.loading import strict_load
from avatar.engines.weights.store import ModelStore, models_folder

__all__ = [
    "ModelStore",
    "models_folder",
    "read_checkpoint",
    "strict_load",
]
