"""Judges whether tracked lips and lids follow the intended curves; called by tests and `make look`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avatar.measure.background import Mask, background_ssim
from avatar.measure.thresholds import Thresholds
from avatar.measure.watch import Observation, Pixels, frames_of, watch
from avatar.tracks import ControlTrack, Phone, aperture_e

Signal = npt.NDArray[np.float32]
Frames = npt.NDArray[np.bool_]

_BILABIALS = ("p", "b", "m")
_OPEN_VOWELS = "aɑæɒɔʌɐ"
_MAX_LAG_FRAMES_S = 0.4
_SILENCE_EDGE_MS = 160


@dataclass(frozen=True, slots=True)
class SyncReport:
    """Figures of one clip; None where the clip gives nothing to judge (no blink, no bilabial, no silence)."""

    aperture_r: float
    lag_ms: float
    gain: float
    rest_e: float
    bilabials: int
    bilabials_closed: float | None
    open_vowels: float | None
    silence_motion: float | None
    width_r: float | None
    blink_r: float | None
    background_ssim: float | None
    tracked: float
    thresholds: Thresholds = field(default_factory=Thresholds, repr=False)

    def failures(self) -> list[str]:
        """One line for each limit that is broken; empty when the clip is good."""
        limit = self.thresholds
        checks: list[tuple[str, float | None, float | None, float | None]] = [
            ("aperture_r", self.aperture_r, limit.min_aperture_r, None),
            ("lag_ms", self.lag_ms, -limit.max_abs_lag_ms, limit.max_abs_lag_ms),
            ("gain", self.gain, limit.min_gain, limit.max_gain),
            ("bilabials_closed", self.bilabials_closed, limit.min_bilabials_closed, None),
            ("open_vowels", self.open_vowels, limit.min_open_vowels, None),
            ("silence_motion", self.silence_motion, None, limit.max_silence_motion),
            ("width_r", self.width_r, limit.min_width_r, None),
            ("blink_r", self.blink_r, limit.min_blink_r, None),
            ("background_ssim", self.background_ssim, limit.min_background_ssim, None),
            ("tracked", self.tracked, limit.min_tracked, None),
            ("rest_e", self.rest_e, None, limit.max_rest_e),
        ]
        broken = []
        for name, value, low, high in checks:
            if value is None:
                continue
            if (low is not None and not value >= low) or (high is not None and not value <= high):
                limits = [f">= {low:g}"] if low is not None else []
                limits += [f"<= {high:g}"] if high is not None else []
                broken.append(f"{name} is {value:.3f}, wanted {' and '.join(limits)}")
        return broken

    def not_judged(self) -> list[str]:
        """Names of the figures this clip could not give; a proof asserts that this is empty too."""
        names = ("bilabials_closed", "open_vowels", "silence_motion", "width_r", "blink_r", "background_ssim")
        return [name for name in names if getattr(self, name) is None]


def measure_sync(
    video: Path | Iterable[Pixels],
    control: ControlTrack,
    phones: Sequence[Phone],
    *,
    background: Mask | None = None,
    reference: Pixels | None = None,
    thresholds: Thresholds | None = None,
) -> SyncReport:
    """Track a short clip again and compare it with the curves it should follow.

    video: MP4 or BGR frames at `control.fps`, its first frame at time 0. background, reference: see
    `background_ssim`. The clip is held in memory: meant for seconds, not for hours.
    """
    frames = list(frames_of(video)) if isinstance(video, Path) else list(video)
    return judge_sync(
        watch(frames),
        control,
        phones,
        background_ssim=background_ssim(frames, background, reference),
        thresholds=thresholds,
    )


def judge_sync(
    seen: Observation,
    control: ControlTrack,
    phones: Sequence[Phone],
    *,
    background_ssim: float | None = None,
    thresholds: Thresholds | None = None,
    frames: Frames | None = None,
) -> SyncReport:
    """Compare signals that were tracked already; `frames` limits the judgement to some of them."""
    limit = thresholds or Thresholds()
    count = min(seen.frames, control.frames)
    selected = np.ones(count, dtype=bool) if frames is None else frames[:count]
    use = seen.seen[:count] & selected
    if np.count_nonzero(use) < 10:
        raise ValueError("fewer than ten frames to judge")
    target = aperture_e(control["jaw"], control["low"], control["raise"])[:count]
    aperture = _filled(seen.aperture[:count], use)
    rest = float(np.percentile(aperture[use], 5))
    closed_rest = min(rest, limit.max_rest_e)
    fps = control.fps
    gain = float(np.cov(target[use], aperture[use])[0, 1] / max(float(np.var(target[use], ddof=1)), 1e-12))

    bilabials = [
        span for phone in phones if phone.ipa[:1] in _BILABIALS if (span := _span(phone, fps, count, use))
    ]
    closed = [aperture[a:b].min() < closed_rest + limit.closed_above_rest_e for a, b in bilabials]
    vowels = [
        aperture[span[0] : span[1]].max() > closed_rest + limit.open_above_rest_e
        for phone in phones
        if any(sound in phone.ipa for sound in _OPEN_VOWELS) and (span := _span(phone, fps, count, use))
    ]
    return SyncReport(
        aperture_r=_correlation(target, aperture, use) or 0.0,
        lag_ms=_lag_ms(target, aperture, fps),
        gain=gain,
        rest_e=rest,
        bilabials=len(closed),
        bilabials_closed=float(np.mean(closed)) if closed else None,
        open_vowels=float(np.mean(vowels)) if vowels else None,
        silence_motion=_silence_motion(aperture, phones, fps, use),
        width_r=_correlation(control["wide"][:count], seen.width[:count], use, min_std=0.05),
        blink_r=_correlation(-control["blink"][:count], seen.eye[:count], use, min_std=0.05),
        background_ssim=background_ssim,
        tracked=float(np.mean(seen.seen[:count][selected])),
        thresholds=limit,
    )


def _filled(signal: Signal, use: Frames) -> Signal:
    """The signal with gaps bridged linearly."""
    index = np.arange(len(signal))
    return np.interp(index, index[use], signal[use]).astype(np.float32)


def _correlation(a: Signal, b: Signal, use: Frames, *, min_std: float = 0.0) -> float | None:
    """Pearson's r over the frames in use; None when the intended curve `a` hardly moves."""
    if float(np.std(a[use])) <= min_std:
        return None
    if float(np.std(b[use])) < 1e-6:
        return 0.0
    return float(np.corrcoef(a[use], b[use])[0, 1])


def _lag_ms(target: Signal, measured: Signal, fps: int) -> float:
    """Delay of `measured` behind `target`: peak of the correlation over shifts, refined by a parabola."""
    reach = min(round(_MAX_LAG_FRAMES_S * fps), len(target) // 3)
    shifts = np.arange(-reach, reach + 1)
    scores = np.array([_shifted_r(target, measured, int(shift)) for shift in shifts])
    peak = int(np.argmax(scores))
    offset = 0.0
    if 0 < peak < len(scores) - 1:
        left, middle, right = scores[peak - 1 : peak + 2]
        bend = left - 2 * middle + right
        offset = float(0.5 * (left - right) / bend) if bend < -1e-9 else 0.0
    return float((shifts[peak] + offset) * 1000.0 / fps)


def _shifted_r(target: Signal, measured: Signal, shift: int) -> float:
    a, b = (
        (target[: len(target) - shift], measured[shift:])
        if shift >= 0
        else (target[-shift:], measured[:shift])
    )
    if np.std(a) < 1e-6 or np.std(b) < 1e-6:
        return -1.0
    return float(np.corrcoef(a, b)[0, 1])


def _span(phone: Phone, fps: int, count: int, use: Frames) -> tuple[int, int] | None:
    """Frames of a phone, one more on either side; None when none of them is in use."""
    first = max(0, int(np.floor(phone.start_ms * fps / 1000)) - 1)
    last = min(count, int(np.ceil(phone.end_ms * fps / 1000)) + 1)
    return (first, last) if last > first and use[first:last].all() else None


def _silence_motion(aperture: Signal, phones: Sequence[Phone], fps: int, use: Frames) -> float | None:
    """Mean squared step of the lip gap in silence over that in speech."""
    speech = np.zeros(len(aperture), dtype=bool)
    quiet = np.ones(len(aperture), dtype=bool)
    times = np.arange(len(aperture)) * 1000.0 / fps
    for phone in phones:
        if phone.ipa:
            speech |= (times >= phone.start_ms) & (times < phone.end_ms)
            quiet &= (times < phone.start_ms - _SILENCE_EDGE_MS) | (times > phone.end_ms + _SILENCE_EDGE_MS)
    steps = np.diff(aperture, prepend=aperture[:1]) ** 2
    pair = use & np.roll(use, 1)
    pair[0] = False
    if np.count_nonzero(quiet & pair) < 3 or not (speech & pair).any():
        return None
    return float(steps[quiet & pair].mean() / max(float(steps[speech & pair].mean()), 1e-12))
