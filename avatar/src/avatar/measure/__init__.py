"""Measures rendered video by looking at it again: do the lips match, did the background stand still?

Called by the tests of every engine and by `make look` on an operator's own footage; never by a render.
"""

from avatar.measure.background import background_mask, background_ssim, ssim_in_mask
from avatar.measure.sync import SyncReport, judge_sync, measure_sync
from avatar.measure.thresholds import Thresholds
from avatar.measure.watch import Observation, frames_of, watch

__all__ = [
    "Observation",
    "SyncReport",
    "Thresholds",
    "background_mask",
    "background_ssim",
    "frames_of",
    "judge_sync",
    "measure_sync",
    "ssim_in_mask",
    "watch",
]
