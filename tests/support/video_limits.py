"""Limits of the figures that `avatar.judge` measures: videos of ours keep them all, a mouth spoiled in one
way breaks its own. Each broken one is a line, whose first word is the figure's name.
"""

from __future__ import annotations

from dataclasses import dataclass

from avatar.judge.mouth_measures import MAX_FLICKER_HZ, MouthReport
from avatar.judge.speech_curves import MAX_ALIGNED_LAG_MS, MIN_ALIGNED_R
from avatar.judge.video_measures import MAX_REST_E, MIN_BILABIALS_CLOSED, SyncReport


@dataclass(frozen=True, slots=True)
class SyncLimits:
    """All of them together: correlation alone passes half-open mouths and lips that never close."""

    min_aperture_r: float = 0.90
    max_abs_lag_ms: float = 40.0
    min_gain: float = 0.75
    max_gain: float = 1.35
    max_silence_motion: float = 0.05
    min_width_r: float = 0.85
    min_blink_r: float = 0.85
    min_open_vowels: float = 0.80
    min_background_ssim: float = 0.985
    min_tracked: float = 0.98


EXACT = SyncLimits()
"""Of videos that are drawn from the curves which they are compared with."""
ALIGNED = SyncLimits(MIN_ALIGNED_R, MAX_ALIGNED_LAG_MS, min_gain=0.5, min_width_r=0.6, min_open_vowels=0.6)
"""Of videos whose curves are made anew from the sound."""


def sync_failures(report: SyncReport, limit: SyncLimits = EXACT) -> list[str]:
    """Returns what the report of a clip breaks; what the clip gives nothing to judge by breaks nothing."""
    checks = (
        _fault("aperture_r", report.aperture_r, limit.min_aperture_r),
        _fault("lag_ms", report.lag_ms, -limit.max_abs_lag_ms, limit.max_abs_lag_ms),
        _fault("gain", report.gain, limit.min_gain, limit.max_gain),
        _fault("bilabials_closed", report.bilabials_closed, MIN_BILABIALS_CLOSED),
        _fault("open_vowels", report.open_vowels, limit.min_open_vowels),
        _fault("silence_motion", report.silence_motion, high=limit.max_silence_motion),
        _fault("width_r", report.width_r, limit.min_width_r),
        _fault("blink_r", report.blink_r, limit.min_blink_r),
        _fault("background_ssim", report.background_ssim, limit.min_background_ssim),
        _fault("tracked", report.tracked, limit.min_tracked),
        _fault("rest_e", report.rest_e, high=MAX_REST_E),
    )
    return [fault for fault in checks if fault]


def mouth_failures(report: MouthReport) -> list[str]:
    """Returns what the report of a mouth breaks."""
    checks = (
        # 0.25 by the curves, and the noise of two landmarks on top.
        _fault("snap", report.snap, high=0.34),
        _fault("flicker_hz", report.flicker_hz, high=MAX_FLICKER_HZ),
        _fault("rounded_width", report.rounded_width, high=0.88),
        _fault("rounded_teeth", report.rounded_teeth, high=0.12),
        _fault("labiodental_teeth", report.labiodental_teeth, low=0.6),
    )
    return [fault for fault in checks if fault]


def _fault(name: str, value: float | None, low: float | None = None, high: float | None = None) -> str:
    if value is None or ((low is None or value >= low) and (high is None or value <= high)):
        return ""
    limits = [f">= {low:g}"] if low is not None else []
    limits += [f"<= {high:g}"] if high is not None else []
    return f"{name} is {value:.3f}, expected {' and '.join(limits)}"
