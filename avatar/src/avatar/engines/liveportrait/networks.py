"""All networks of LivePortrait together, on one device; the animator runs them, `loading` fills them."""

from __future__ import annotations

import torch
from torch import nn

from avatar.engines.liveportrait.appearance import AppearanceExtractor
from avatar.engines.liveportrait.generator import Generator, fold_spectral_norms
from avatar.engines.liveportrait.layers import fold_norms
from avatar.engines.liveportrait.motion import MotionExtractor
from avatar.engines.liveportrait.retargeting import Perceptron
from avatar.engines.liveportrait.sizes import EYES, LIPS, PUBLISHED, STITCHING, Sizes
from avatar.engines.liveportrait.warping import WarpingNetwork


class Networks(nn.Module):
    """F, M, W, G, the stitching S and the two retargeting R, in evaluation mode."""

    def __init__(self, sizes: Sizes = PUBLISHED) -> None:
        super().__init__()
        self.sizes = sizes
        self.appearance = AppearanceExtractor(sizes)
        self.motion = MotionExtractor()
        self.warping = WarpingNetwork(sizes)
        self.generator = Generator(sizes)
        self.stitching = Perceptron(STITCHING)
        self.eyes = Perceptron(EYES)
        self.lips = Perceptron(LIPS)
        self.requires_grad_(False)
        self.eval()

    def prepare_inference(self, device: torch.device, dtype: torch.dtype) -> Networks:
        """Folds norms into the weights and moves all to `device`, the large networks in `dtype`.

        What is small and decides where things are (heads of M, S, R) stays float32.
        """
        fold_norms(self)
        fold_spectral_norms(self)
        self.to(device)
        for network in (self.appearance, self.motion, self.warping, self.generator):
            network.to(dtype)
        self.motion.keep_heads_in_float32()
        return self
