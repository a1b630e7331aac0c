"""Quiets the landmarks of a clip without delay, bridges short losses, tells what to trust; for the engine.

The head's own movement is left as it is: pictures move with it, and a smoothed head lets the mouth slide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avatar.face.landmarks import Points
from avatar.face.turning import visible_share_by_yaw, yaw_deg

Floats = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex128]

# Points that speech does not move: forehead, bridge of the nose, corners of the eyes, temples.
_RIGID = (
    10,
    338,
    109,
    151,
    9,
    8,
    168,
    6,
    197,
    195,
    33,
    133,
    362,
    263,
    127,
    356,
    21,
    251,
    54,
    284,
    103,
    332,
    67,
    297,
)

MARGIN = 16
"""Steps of context that `steady` needs on either side to give the same answer wherever a stretch begins."""
_WINDOW = 7
_NOISE_E, _SPEECH_E = 0.008, 0.020
"""Distances between filtered and seen points: below the first it is noise, above the second it is speech."""
_BRIDGE_S = 0.24
_HOLD_S = 0.08
_FADE_S = 0.24


@dataclass(frozen=True, slots=True)
class Steady:
    """points float32 (n, 478, 3); strength float32 (n,): 1 drives the mouth, 0 lets the source through."""

    points: Points
    strength: Floats


def steady(raw: Points, visible: Floats, fps: int) -> Steady | None:
    """raw: float32 (n, 478, 3), NaN where lost; visible: float32 (n,), 0 where something covers the mouth.

    None when the face is nowhere in it.
    """
    found = np.isfinite(raw[:, 0, 0])
    if not found.any():
        return None
    whole = _bridged(raw, found)
    smooth = _smoothed(whole)
    uncovered = np.where(found, visible, 1.0)
    strength = _trust(found, fps) * visible_share_by_yaw(yaw_deg(smooth)) * uncovered
    return Steady(smooth, _rounded(_lowest(strength.astype(np.float32), 7), 5))


def _bridged(raw: Points, found: npt.NDArray[np.bool_]) -> Points:
    """Lost steps get points between the good ones on both sides, or the nearest good one at the ends."""
    good = np.flatnonzero(found)
    steps = np.arange(len(raw))
    after = np.clip(np.searchsorted(good, steps), 0, len(good) - 1)
    right, left = good[after], good[np.maximum(after - (good[after] > steps), 0)]
    share = np.where(right > left, (steps - left) / np.maximum(right - left, 1), 0.0)
    share = np.clip(share, 0, 1).astype(np.float32)[:, None, None]
    return np.asarray(raw[left] * (1 - share) + raw[right] * share, np.float32)


def _smoothed(points: Points) -> Points:
    """Takes noise out of what moves within the face, after the head's own movement is taken out.

    A Savitzky-Golay filter (window 7, order 2) for what rests or moves slowly; points that it would carry
    away from where they were seen are speaking lips, and are left alone.
    """
    reference = points[len(points) // 2, list(_RIGID), :2]
    turn, shift = _similarity(points[:, list(_RIGID), :2], reference)
    flat = points[..., 0].astype(np.float64) + 1j * points[..., 1]
    local = turn[:, None] * flat + shift[:, None]
    calm = _filtered(local)
    unit = float(np.abs(local[:, 263] - local[:, 33]).mean())
    carried = np.abs(calm - local) / max(unit, 1e-6)
    lively = np.clip((carried - _NOISE_E) / (_SPEECH_E - _NOISE_E), 0, 1)
    settled = calm + lively * (local - calm)
    back = (settled - shift[:, None]) / turn[:, None]
    depth = _filtered(points[..., 2].astype(np.complex128)).real
    return np.asarray(np.stack([back.real, back.imag, depth], axis=-1), np.float32)


def _similarity(points: Floats, target: Floats) -> tuple[Complex, Complex]:
    """Turn-and-scale a, shift b, as complex numbers, that bring points (n, k, 2) nearest to target (k, 2)."""
    source = points[..., 0].astype(np.float64) + 1j * points[..., 1]
    aim = target[:, 0].astype(np.float64) + 1j * target[:, 1]
    middle = source.mean(axis=1)
    centred, aimed = source - middle[:, None], aim - aim.mean()
    turn = (np.conj(centred) * aimed).sum(axis=1) / np.maximum((np.abs(centred) ** 2).sum(axis=1), 1e-9)
    return turn, aim.mean() - turn * middle


def _filtered(values: Complex) -> Complex:
    """Along the first axis; ends are mirrored."""
    half = _WINDOW // 2
    if len(values) <= half:
        return values
    at = np.arange(-half, half + 1)
    fit = np.linalg.pinv(np.stack([np.ones_like(at), at, at**2], axis=1).astype(np.float64))[0]
    padded = np.concatenate([values[half:0:-1], values, values[-2 : -half - 2 : -1]])
    result = np.zeros_like(values)
    for offset, weight in enumerate(fit):
        result += padded[offset : offset + len(values)] * weight
    return result


def _trust(found: npt.NDArray[np.bool_], fps: int) -> Floats:
    """1 on found steps and short gaps; in longer ones it falls to 0 within a third of a second."""
    strength = np.ones(len(found), np.float32)
    good = np.flatnonzero(found)
    for step in np.flatnonzero(~found):
        after = int(np.searchsorted(good, step))
        before_gap = step - good[after - 1] if after > 0 else len(found)
        after_gap = good[after] - step if after < len(good) else len(found)
        if before_gap + after_gap <= _BRIDGE_S * fps + 1:
            continue
        away = (min(before_gap, after_gap) / fps - _HOLD_S) / _FADE_S
        strength[step] = 1 - np.clip(away, 0, 1)
    return strength


def _lowest(values: Floats, window: int) -> Floats:
    """Lowest value within `window` steps: a fade is over before its cause is there."""
    half = window // 2
    padded = np.pad(values, half, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, window).min(axis=1), np.float32)


def _rounded(values: Floats, window: int) -> Floats:
    """Mean over `window` steps, ends held: nothing appears or goes within one frame."""
    half = window // 2
    padded = np.concatenate([np.full(half, values[0]), values, np.full(half, values[-1])])
    return np.convolve(padded, np.ones(window) / window, mode="valid").astype(np.float32)
