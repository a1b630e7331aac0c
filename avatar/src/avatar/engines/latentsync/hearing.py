"""From a sound to what the UNet hears of it in every video frame."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from avatar.engines.latentsync.mel import LogMel
from avatar.engines.latentsync.shapes import FEATURES_PER_SECOND, FPS
from avatar.engines.latentsync.whisper import WhisperEncoder

STEPS_BEFORE = 4
STEPS_AFTER = 5
"""A frame hears the features from 80 ms before its time to 100 ms after: ten of 20 ms."""


@torch.inference_mode()
def feature_blocks(mel: LogMel, encoder: WhisperEncoder) -> Iterator[Tensor]:
    """Float32 features (steps, 5, 384) on the CPU, one block per window of 30 s: 50 steps a second."""
    weight = encoder.conv1.weight
    for window, frames in mel.windows():
        features = encoder(window.unsqueeze(0).to(weight.device, weight.dtype))
        yield features[0, : frames // 2].float().cpu()


def frame_tokens(blocks: Iterator[Tensor], frames: int, fps: int = FPS) -> Iterator[Tensor]:
    """Tokens (50, 384) for `frames` video frames: ten steps of five layers each, time first.

    At both ends the outermost step is repeated. Only what the next frames need is kept.
    """
    held = next(blocks)
    first, ended = 0, False
    for frame in range(frames):
        centre = frame * FEATURES_PER_SECOND // fps
        while not ended and centre + STEPS_AFTER >= first + len(held):
            more = next(blocks, None)
            if more is None:
                ended = True
            else:
                keep = max(0, min(centre - STEPS_BEFORE - first, len(held) - 1))
                held, first = torch.cat([held[keep:], more]), first + keep
        steps = torch.arange(centre - STEPS_BEFORE, centre + STEPS_AFTER + 1) - first
        yield held[steps.clamp(0, len(held) - 1)].flatten(0, 1)
