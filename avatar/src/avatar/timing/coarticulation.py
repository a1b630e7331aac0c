"""Phonemes to mouth curves by dominance functions (Cohen & Massaro 1993); called by `control_track`.

Every phoneme pulls the mouth to its targets; its pull fades exponentially before and after it. Only phonemes
within half a second of a frame count, so time and memory grow with the length and not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avatar.timing.noise import Array
from avatar.timing.visemes import REST, VISEMES, is_bilabial, is_labiodental, visemes
from avatar.tracks import Curve, Phone

REACH_S = 0.5
CHUNK = 1000
"""Shapes worked on at a time: some 30 000 (shape, frame) pairs."""
SILENCE_S = 0.12
CLOSE_S, OPEN_S = 0.13, 0.14
CLOSURE_RAMP_S = 0.09
TUCK_RAMP_S = 0.08
FADE_GAP = (24.0, 22.0)
FADE_WIDE = (13.0, 12.0)
FADE_TIP = (26.0, 26.0)
"""Decay per second before and after a phoneme: rounding spreads further than opening."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """Mouth shapes in time: columns of one length. Times in seconds."""

    start: Array
    end: Array
    targets: Array
    """(shapes, 6): gap, jaw share, raise, wide, tuck, tongue"""
    holds: Array
    """(shapes, 3): dominance of gap, of wide, of tuck and tongue"""
    bilabial: npt.NDArray[np.bool_]
    labiodental: npt.NDArray[np.bool_]

    @property
    def centre(self) -> Array:
        return (self.start + self.end) / 2


@dataclass(frozen=True, slots=True)
class MouthCurves:
    """Curves of shape (frames,), before anything that the sound's loudness does."""

    gap: Array
    jaw_share: Array
    raise_lip: Array
    wide: Array
    tuck: Array
    tongue: Array


def shapes_of(phones: Sequence[Phone]) -> Shapes:
    """The shapes of a speech; a phoneme of several sounds (diphthong, affricate) is divided evenly."""
    parts = [visemes(phone.ipa) or (REST,) for phone in phones]
    counts = np.array([len(shapes) for shapes in parts], dtype=np.intp)
    begin_ms = np.fromiter((phone.start_ms for phone in phones), np.float64, len(phones))
    length_ms = np.fromiter((phone.end_ms - phone.start_ms for phone in phones), np.float64, len(phones))
    length_ms /= counts
    place = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    start = (np.repeat(begin_ms, counts) + place * np.repeat(length_ms, counts)) / 1000
    # One row per class, picked by number: a long speech holds each of its thirty shapes thousands of times.
    numbers = {viseme: number for number, viseme in enumerate(VISEMES)}
    which = np.fromiter((numbers[viseme] for shapes in parts for viseme in shapes), np.intp, len(place))
    return Shapes(
        start=start,
        end=start + np.repeat(length_ms, counts) / 1000,
        targets=np.array(
            [(v.gap, v.jaw_share, v.raise_lip, v.wide, v.tuck, v.tongue) for v in VISEMES], dtype=np.float64
        )[which],
        holds=np.array([(v.hold_gap, v.hold_wide, v.hold_tip) for v in VISEMES], dtype=np.float64)[which],
        bilabial=np.array([is_bilabial(v) for v in VISEMES], dtype=bool)[which],
        labiodental=np.array([is_labiodental(v) for v in VISEMES], dtype=bool)[which],
    )


def blend(shapes: Shapes, times: Array) -> MouthCurves:
    """Dominance-weighted means of the targets at `times` (seconds, evenly spaced, shape (frames,))."""
    sums = np.zeros((6, len(times)))
    weights = np.full((3, len(times)), 1e-4)
    groups = ((FADE_GAP, (0, 1, 2)), (FADE_WIDE, (3,)), (FADE_TIP, (4, 5)))
    for rows, columns in _pairs(shapes, times):
        first, count = int(columns.min()), int(np.ptp(columns)) + 1
        span, places = slice(first, first + count), columns - first
        away = np.abs(times[columns] - shapes.centre[rows]) - (shapes.end[rows] - shapes.start[rows]) / 4
        away = np.maximum(away, 0.0)
        early = times[columns] < shapes.centre[rows]
        for group, (fade, channels) in enumerate(groups):
            pull = shapes.holds[rows, group] * np.exp(-np.where(early, *fade) * away)
            weights[group, span] += np.bincount(places, pull, count)
            for channel in channels:
                sums[channel, span] += np.bincount(places, pull * shapes.targets[rows, channel], count)
    gap_w, wide_w, tip_w = weights
    return MouthCurves(
        sums[0] / gap_w, sums[1] / gap_w, sums[2] / gap_w, sums[3] / wide_w, sums[4] / tip_w, sums[5] / tip_w
    )


def _pairs(shapes: Shapes, times: Array) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """(shape, frame) index pairs within reach of each other, some thousand shapes at a time."""
    first = np.searchsorted(times, shapes.start - REACH_S)
    last = np.searchsorted(times, shapes.end + REACH_S)
    for begin in range(0, len(first), CHUNK):
        counts = (last - first)[begin : begin + CHUNK]
        rows = np.repeat(np.arange(begin, begin + len(counts)), counts)
        offsets = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        if len(rows):
            yield rows, first[rows] + offsets


def speech_gate(phones: Sequence[Phone], times: Array) -> Array:
    """1 while somebody speaks, 0 in silences longer than 120 ms, with short ramps into them."""
    starts: list[float] = []
    ends: list[float] = []
    for phone in phones:
        if not phone.ipa:
            continue
        start, end = phone.start_ms / 1000, phone.end_ms / 1000
        if ends and start - ends[-1] <= SILENCE_S:
            ends[-1] = end
        else:
            starts.append(start)
            ends.append(end)
    if not starts:
        return np.zeros(len(times))
    begin, finish = np.array(starts), np.array(ends)
    span = np.searchsorted(begin, times, side="right") - 1
    inside = (span >= 0) & (times < finish[np.maximum(span, 0)])
    since = np.where(span >= 0, times - finish[np.maximum(span, 0)], np.inf)
    following = np.minimum(span + 1, len(begin) - 1)
    until = np.where(span + 1 < len(begin), begin[following] - times, np.inf)
    ramp = np.maximum(1 - since / CLOSE_S, 1 - until / OPEN_S)
    ramp = np.where(inside, 1.0, np.clip(ramp, 0.0, 1.0))
    return np.asarray(ramp * ramp * (3 - 2 * ramp))


def closures(shapes: Shapes, times: Array) -> Array:
    """Factor 0 where the lips touch, on at least one frame per p, b or m, back to 1 within 90 ms."""
    return 1.0 - _touch(shapes, times, shapes.bilabial, CLOSURE_RAMP_S)


def tucks(shapes: Shapes, times: Array) -> Array:
    """1 where the lower lip touches the upper teeth, on at least one frame per f or v."""
    return _touch(shapes, times, shapes.labiodental, TUCK_RAMP_S)


def _touch(shapes: Shapes, times: Array, which: npt.NDArray[np.bool_], ramp_s: float) -> Array:
    """1 in the middle 60 % of each chosen shape and on the frame nearest to its centre, ramps to 0 around."""
    touch = np.zeros(len(times))
    centre = shapes.centre[which]
    if not len(centre) or not len(times):
        return touch
    hold = 0.3 * (shapes.end - shapes.start)[which]
    step = times[1] - times[0] if len(times) > 1 else 1.0
    nearest = np.clip(np.rint((centre - times[0]) / step).astype(np.intp), 0, len(times) - 1)
    reach = int(np.ceil((ramp_s + float(hold.max())) / step)) + 1
    for offset in range(-reach, reach + 1):
        frames = np.clip(nearest + offset, 0, len(times) - 1)
        away = np.abs(times[frames] - centre) - hold
        np.maximum.at(touch, frames, np.clip(1 - away / ramp_s, 0.0, 1.0))
    touch[nearest] = 1.0
    return touch


def limit_speed(curve: Array, step: float) -> Array:
    """The largest curve below `curve` that never changes by more than `step` per frame.

    Peaks come down; zeros and closures stay (an infimal convolution with a cone).
    """
    slope = step * np.arange(len(curve))
    forward = np.minimum.accumulate(curve - slope) + slope
    return np.asarray((np.minimum.accumulate(forward[::-1] - slope) + slope)[::-1])


def smooth(curve: Array, rise_s: float, fps: int) -> Array:
    """`curve` (frames,) through a Gaussian of no delay: a sudden step takes `rise_s` from 10 % to 90 %.

    It never overshoots. Beyond its ends the curve is 0, as a mouth at rest is.
    """
    sigma = rise_s * fps / 2.563
    reach = int(np.ceil(3.5 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(curve, weights / weights.sum())[reach : reach + len(curve)]


def as_curve(values: Array, low: float, high: float) -> Curve:
    return np.clip(values, low, high).astype(np.float32)
