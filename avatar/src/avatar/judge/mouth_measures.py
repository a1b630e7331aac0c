"""Judges how a rendered mouth moves and what it shows: snaps, flicker, round vowels, teeth.

Called by tests and by `make look`. `video_measures` asks whether a mouth matches its sound; a mouth may do
that and still look wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from avatar.face.landmarks import LOWER_INNER_LIP, UPPER_INNER_LIP
from avatar.judge.video_measures import Observation
from avatar.timing.visemes import visemes
from avatar.tracks import Curve, Phone

Pixels = npt.NDArray[np.uint8]
Frames = npt.NDArray[np.bool_]

CLOSURE_S = 0.10
"""Lips that shut for p, b, m move as fast as they can, this long before and after."""
MIN_FULL_E = 0.10
"""A clip of narrow sounds alone has no full opening of its own."""
MIN_TURN = 0.12
"""Of the full opening: what a one-frame turn must measure at least. The tracker's noise is a third of it."""
MAX_FLICKER_HZ = 1.2
"""Curves of ours turn less than 0.4 times a second; the tracker adds turns of its own."""
_ROUNDED = ("u", "o", "o open", "u lax", "w")
_LONG_MS = 50
_MIN_GAP_E = 0.025
_TEETH_LIGHTNESS, _TEETH_RED = 96, 13


@dataclass(frozen=True, slots=True)
class MouthReport:
    """Figures of one clip; None where it has no such sound.

    snap: largest step between two frames outside closures, closing_snap: of all frames, as shares of the full
    opening; flicker_hz: one-frame turns of a half-shut mouth per second; rounded_width: width of the mouth in
    rounded sounds over that in all others; rounded_teeth: share of the opening that teeth fill there;
    labiodental_teeth: share of f and v that show the upper teeth.
    """

    snap: float
    closing_snap: float
    flicker_hz: float
    rounded_width: float | None
    rounded_teeth: float | None
    labiodental_teeth: float | None


def judge_mouth(
    frames: Sequence[Pixels], seen: Observation, phones: Sequence[Phone], fps: int
) -> MouthReport:
    """Measures tracked `frames` (BGR) against the phones of their sound, which begins with the first."""
    moments = (np.arange(seen.frames) + 0.5) / fps
    aperture = _filled(seen.aperture)
    full = full_opening_e(aperture)
    closing = near_closures(phones, moments)
    rounded = _frames_of(phones, moments, lambda ipa: any(v.name in _ROUNDED for v in visemes(ipa)))
    rounded &= aperture - aperture.min() > _MIN_GAP_E
    others = seen.seen & ~rounded
    teeth = [teeth_share(frames[index], seen.landmarks[index]) for index in np.flatnonzero(rounded)]
    labiodentals = [
        max(teeth_share(frames[index], seen.landmarks[index]) for index in np.flatnonzero(inside))
        for phone in phones
        if any(v.name == "f" for v in visemes(phone.ipa))
        and (inside := _frames_of([phone], moments, lambda _: True, _LONG_MS) & seen.seen).any()
    ]
    return MouthReport(
        snap=largest_step(aperture, full, ~closing),
        closing_snap=largest_step(aperture, full, np.ones_like(closing)),
        flicker_hz=flicker_hz(aperture, full, closing, fps),
        rounded_width=float(np.median(seen.width[rounded]) / np.median(seen.width[others]))
        if rounded.sum() > 3
        else None,
        rounded_teeth=float(np.median(teeth)) if len(teeth) > 3 else None,
        labiodental_teeth=float(np.mean([share > 0.10 for share in labiodentals])) if labiodentals else None,
    )


def full_opening_e(aperture: Curve) -> float:
    """Returns the largest opening of a clip above its smallest, in E."""
    return max(MIN_FULL_E, float(aperture.max() - aperture.min()))


def largest_step(aperture: Curve, full_e: float, use: Frames) -> float:
    """Returns the change between neighbouring frames in use, as a share of `full_e`: the mean of the three
    largest, because a tracker misreads single frames.
    """
    steps = np.abs(np.diff(aperture))[use[1:] & use[:-1]]
    return float(np.sort(steps)[-3:].mean() / full_e) if len(steps) else 0.0


def flicker_hz(aperture: Curve, full_e: float, closing: Frames, fps: int) -> float:
    """Returns how often a second a mouth that is neither shut nor wide turns for a single frame."""
    share = (aperture - aperture.min()) / full_e
    before, at, after = share[:-2], share[1:-1], share[2:]
    dip = np.minimum(before, after) - at
    peak = at - np.maximum(before, after)
    turns = ((dip > MIN_TURN) & (at > MIN_TURN)) | ((peak > MIN_TURN) & (at < 1 - MIN_TURN))
    return float(np.count_nonzero(turns & ~closing[1:-1]) * fps / max(1, len(aperture)))


def near_closures(phones: Iterable[Phone], moments: npt.NDArray[np.float64]) -> Frames:
    """Frames in or beside a p, b or m."""
    return _frames_of(phones, moments, lambda ipa: any(v.name == "p" for v in visemes(ipa)), 1000 * CLOSURE_S)


def teeth_share(frame: Pixels, points: npt.NDArray[np.float32]) -> float:
    """Returns the share of the opening between the inner lips that is bright and not red."""
    if not np.isfinite(points[0, 0]):
        return 0.0
    ring = points[[*UPPER_INNER_LIP, *LOWER_INNER_LIP[::-1]], :2]
    x0, y0 = np.floor(ring.min(axis=0)).astype(int) - 2
    x1, y1 = np.ceil(ring.max(axis=0)).astype(int) + 3
    part = frame[max(0, y0) : y1, max(0, x0) : x1]
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(ring - (max(0, x0), max(0, y0))).astype(np.int32)], (255,))
    lab = cv2.cvtColor(part, cv2.COLOR_BGR2Lab).astype(int)
    inside = mask > 0
    bright = inside & (lab[..., 0] > _TEETH_LIGHTNESS) & (lab[..., 1] - 128 < _TEETH_RED)
    return float(bright.sum() / max(1, inside.sum()))


def _frames_of(
    phones: Iterable[Phone],
    moments: npt.NDArray[np.float64],
    chosen: Callable[[str], bool],
    beside_ms: float = -15.0,
) -> Frames:
    """Frames whose moment lies in a chosen phone, or at most `beside_ms` from it."""
    found: Frames = np.zeros(len(moments), bool)
    for phone in phones:
        if phone.ipa and chosen(phone.ipa):
            start, end = phone.start_ms - beside_ms, phone.end_ms + beside_ms
            found |= (1000 * moments >= start) & (1000 * moments <= end)
    return found


def _filled(signal: Curve) -> Curve:
    known = np.flatnonzero(np.isfinite(signal))
    if not len(known):
        return np.zeros(len(signal), np.float32)
    return np.interp(np.arange(len(signal)), known, signal[known]).astype(np.float32)
