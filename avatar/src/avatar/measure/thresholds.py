"""Every limit a rendered face has to keep, in one place; read by `avatar.measure.sync`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All of them together: correlation alone passes half-open mouths and lips that never close."""

    min_aperture_r: float = 0.90
    max_abs_lag_ms: float = 40.0
    min_gain: float = 0.75
    max_gain: float = 1.35
    min_bilabials_closed: float = 0.98
    max_silence_motion: float = 0.05
    min_width_r: float = 0.85
    min_blink_r: float = 0.85
    min_open_vowels: float = 0.80
    min_background_ssim: float = 0.985
    min_tracked: float = 0.98
    """Share of frames in which a face was found at all."""

    closed_above_rest_e: float = 0.010
    """Lips count as closed below rest + this, in E (distance of the outer eye corners)."""
    open_above_rest_e: float = 0.020
    """An open vowel has to reach rest + this."""
    max_rest_e: float = 0.035
    """Lips at rest are never read further apart; a mouth that never shuts has no rest of its own."""
