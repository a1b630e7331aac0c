"""Widths and depths of the networks; the published checkpoints have `PUBLISHED`, tests use smaller ones."""

from __future__ import annotations

from dataclasses import dataclass

KEYPOINTS = 21
"""Implicit keypoints of a face; expression, motion and stitching all speak in them."""
POSE_BINS = 66
"""Classes in which the motion extractor tells an angle, 3 degrees each."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Channels and levels of F, M, W and G. The volume's channels times its depth are `most_channels`."""

    picture_px: int = 256
    """Side of the square picture that F and M see."""
    channels: int = 64
    most_channels: int = 512
    halvings: int = 2
    volume_channels: int = 32
    volume_depth: int = 16
    volume_blocks: int = 6
    motion_channels: int = 32
    most_motion_channels: int = 1024
    motion_levels: int = 5
    motion_features: int = 4
    generator_channels: int = 64
    """Channels of the last block of G, before the picture."""

    @property
    def feature_channels(self) -> int:
        """Channels of what W hands to G."""
        return min(self.most_channels, self.channels * 2**self.halvings)

    @property
    def output_px(self) -> int:
        """Side of the square picture that G makes."""
        return 2 * self.picture_px


PUBLISHED = Sizes()
STITCHING = (6 * KEYPOINTS, 128, 128, 64, 3 * KEYPOINTS + 2)
EYES = (3 * KEYPOINTS + 3, 256, 256, 128, 128, 64, 3 * KEYPOINTS)
LIPS = (3 * KEYPOINTS + 2, 128, 128, 64, 3 * KEYPOINTS)
"""Widths of the stitching and retargeting perceptrons, from input to output."""
