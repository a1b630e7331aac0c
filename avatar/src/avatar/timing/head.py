"""Head, brows, sway and breath; called by `control_track`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avatar.timing.noise import Array, generator, glide, smooth_noise, steps
from avatar.timing.style import MotionStyle
from avatar.tracks import Word

NOD_DEG, EMPHASIS_NOD_DEG = 1.6, 3.0
BROW, EMPHASIS_BROW = 0.45, 0.9
NOD_SIGMA_S = 0.13
ACCENT_DELAY_S = 0.12
EDGE_S = 0.6
POSTURE_SHARE, DRIFT_SHARE, FINE_SHARE = 0.72, 0.62, 0.30
"""Parts of the standard deviation; their squares add up to 1."""


@dataclass(frozen=True, slots=True)
class HeadCurves:
    yaw_deg: Array
    pitch_deg: Array
    roll_deg: Array
    sway: Array
    brow: Array
    breath: Array


def head_motion(
    times: Array,
    words: Sequence[Word],
    phrase_ends: Sequence[float],
    energy: Array,
    seed: int,
    style: MotionStyle,
    lively: Array,
    rest: Array,
) -> HeadCurves:
    """Idle motion that grows with the speech, new postures at phrase ends, nods and brows on words. `rest`:
    `at_edges` of the times.
    """
    liveliness = (0.6 + 0.55 * _slow(energy, times, 1.2)) * lively * rest
    yaw = style.head * style.yaw_sd_deg * liveliness * _idle(times, phrase_ends, seed, 10)
    pitch = style.head * style.pitch_sd_deg * liveliness * _idle(times, phrase_ends, seed, 20)
    # A head that turns also tilts a little, to the same side.
    own_roll = style.head * style.roll_sd_deg * liveliness * _idle(times, phrase_ends, seed, 30)
    roll = 0.9 * own_roll + 0.18 * yaw
    nods, brow = _accents(times, words, seed, style)
    sway = rest * 0.42 * style.head * smooth_noise(generator(seed, 40), times, 1.9)
    return HeadCurves(
        yaw_deg=np.clip(yaw, -15, 15),
        pitch_deg=np.clip(pitch + nods, -9, 10),
        roll_deg=np.clip(roll, -6, 6),
        sway=np.clip(sway, -1, 1),
        brow=np.clip(brow + rest * 0.08 * style.brow * smooth_noise(generator(seed, 41), times, 1.3), -1, 1),
        breath=rest * _breath(times, seed, style),
    )


def _idle(times: Array, phrase_ends: Sequence[float], seed: int, stream: int) -> Array:
    """Unit-variance motion: postures that are taken and held, a slow drift, and a little life on top."""
    return np.asarray(
        POSTURE_SHARE * _postures(times, phrase_ends, seed, stream)
        + DRIFT_SHARE * smooth_noise(generator(seed, stream + 1), times, 1.4)
        + FINE_SHARE * smooth_noise(generator(seed, stream + 2), times, 0.45)
    )


def _postures(times: Array, phrase_ends: Sequence[float], seed: int, stream: int) -> Array:
    """A held level that changes at phrase ends, or after some seconds, by a move of 0.5 to 1 s."""
    # Same moments for all axes: the head goes to a posture, not each angle for itself.
    clock, level = generator(seed, 3), generator(seed, stream)
    ends = np.asarray(phrase_ends)
    start = current = float(level.standard_normal())
    moments: list[float] = []
    lengths: list[float] = []
    targets: list[float] = []
    at = float(times[0]) if len(times) else 0.0
    while len(times) and at <= times[-1]:
        pause = float(clock.uniform(1.6, 4.2))
        first, last = np.searchsorted(ends, (at + 0.9, at + pause))
        at = float(ends[first]) if first < last else at + pause
        # A little memory of the last posture keeps the moves from being larger than people make them.
        current = 0.35 * current + 0.94 * float(level.standard_normal())
        moments.append(at)
        lengths.append(float(clock.uniform(0.5, 1.0)))
        targets.append(current)
    return steps(times, np.array(moments), np.array(targets), np.array(lengths), start)


def _accents(times: Array, words: Sequence[Word], seed: int, style: MotionStyle) -> tuple[Array, Array]:
    """Nods (degrees down) and brow raises. Emphasised words always, other long words sometimes."""
    rng = generator(seed, 4)
    nods, brow = np.zeros(len(times)), np.zeros(len(times))
    last_nod = -1.0
    for word in words:
        nod_draw, brow_draw, size = rng.random(), rng.random(), 0.7 + 0.6 * rng.random()
        at = word.start_ms / 1000 + ACCENT_DELAY_S
        letters = sum(char.isalnum() for char in word.text)
        question = word.text.rstrip("\"')»”’").endswith(("?", "？", "؟"))
        if word.emphasis:
            _bump(nods, times, at, EMPHASIS_NOD_DEG * style.nods, NOD_SIGMA_S)
            _bump(brow, times, at - 0.04, EMPHASIS_BROW * style.brow, 0.18)
            last_nod = at
        elif letters > 3:
            if nod_draw < 0.7 and at - last_nod > 0.55:
                _bump(nods, times, at, NOD_DEG * size * style.nods, NOD_SIGMA_S)
                last_nod = at
            if brow_draw < 0.3:
                _bump(brow, times, at - 0.04, BROW * size * style.brow, 0.2)
        if question:
            _bump(brow, times, word.end_ms / 1000, 0.7 * style.brow, 0.3)
    return nods, brow


def _bump(curve: Array, times: Array, at: float, height: float, sigma_s: float) -> None:
    first, last = np.searchsorted(times, (at - 4 * sigma_s, at + 4 * sigma_s))
    curve[first:last] += height * np.exp(-0.5 * ((times[first:last] - at) / sigma_s) ** 2)


def at_edges(times: Array) -> Array:
    """Returns 1 within a scene, and a smooth way from and to 0 in its first and last moments: scenes begin
    and end at rest, so that a body does not jump where they are joined.
    """
    if not len(times):
        return np.zeros(0)
    step = times[0] * 2
    left = (times - times[0]) / EDGE_S
    right = (times[-1] + step / 2 - times) / EDGE_S
    return glide(left) * glide(right)


def _slow(values: Array, times: Array, seconds: float) -> Array:
    """Moving average, in linear time whatever the window."""
    if len(times) < 2:
        return values
    half = max(1, round(seconds / 2 / (times[1] - times[0])))
    sums = np.concatenate(([0.0], np.cumsum(values)))
    index = np.arange(len(values))
    first, last = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    mean = (sums[last] - sums[first]) / (last - first)
    return np.asarray(mean)


def _breath(times: Array, seed: int, style: MotionStyle) -> Array:
    """Chest rise 0..1: in for 40 % of the cycle, out for the rest; the pace wanders by a few per cent."""
    if not len(times):
        return np.zeros(0)
    pace = 1 + 0.08 * smooth_noise(generator(seed, 5), times, 6.0)
    step = times[1] - times[0] if len(times) > 1 else 0.0
    phase = (np.cumsum(pace) * step * style.breath_hz + generator(seed, 6).random()) % 1.0
    return np.asarray(
        np.where(
            phase < 0.4,
            0.5 - 0.5 * np.cos(np.pi * phase / 0.4),
            0.5 + 0.5 * np.cos(np.pi * (phase - 0.4) / 0.6),
        )
    )
