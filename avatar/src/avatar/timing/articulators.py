"""Phones to the mouth's curves by articulator: a slow jaw, quick lips, and lips that shut over an open jaw.

`control_track` calls it. How far the mouth opens follows the phones closely; the jaw follows with its own
mass, and the lips make up the difference. So a p shuts the lips in two frames while the chin hardly moves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avatar.timing.coarticulation import (
    as_curve,
    blend,
    closures,
    limit_speed,
    shapes_of,
    smooth,
    speech_gate,
    tucks,
)
from avatar.timing.noise import Array, generator, smooth_noise
from avatar.timing.style import MotionStyle
from avatar.tracks import JAW_E, LOW_E, RAISE_E, Curve, Phone

JAW_RISE_S, LIPS_RISE_S = 0.115, 0.06
"""Time from a tenth to nine tenths of a sudden opening. Jaws of speakers take 80 to 150 ms."""
RAISE_PER_SECOND, TONGUE_PER_SECOND = 6.0, 10.0
CLEAR_SPEECH = 1.4
"""Coarticulation averages openings down; people who speak to a camera articulate more than that."""
FULL_E = 0.9 * JAW_E + 0.37 * LOW_E
"""The opening of the widest vowel: 0.9 of it from the jaw, as `visemes` has it."""
MIN_OPENING_E = 0.004
SKEW_KNOT_S = 1.6
_SKEW_STREAM = 7


def mouth_curves(
    phones: Sequence[Phone], times: Array, loud: Array, fps: int, style: MotionStyle
) -> dict[str, Curve]:
    """Returns the curves of the mouth's channels at `times` (seconds, shape (frames,)), but for `skew`.

    loud: share 0..1 of the opening that the sound's loudness leaves, shape (frames,).
    """
    shapes = shapes_of(phones)
    curves = blend(shapes, times)
    gate = speech_gate(phones, times)
    share = curves.jaw_share
    touch = closures(shapes, times)
    gap = np.minimum(1.0, CLEAR_SPEECH * style.mouth * curves.gap) * loud * gate
    raise_lip = limit_speed(curves.raise_lip * gate, RAISE_PER_SECOND / fps)
    target_e = gap * (JAW_E * share + LOW_E * (1 - 0.7 * share)) + RAISE_E * raise_lip
    opening_e = limit_speed(smooth(target_e, LIPS_RISE_S, fps), FULL_E * style.gap_per_second / fps)
    opening_e = np.where(gate > 0.01, opening_e, 0.0) * touch
    opening_e = np.where(opening_e < MIN_OPENING_E, 0.0, opening_e)
    jaw = smooth(gap * share, JAW_RISE_S, fps)
    jaw = np.clip(jaw - 0.01, 0.0, 1.0)
    raise_lip = np.minimum(raise_lip, opening_e / RAISE_E)
    by_jaw_e = JAW_E * jaw + RAISE_E * raise_lip
    low = np.clip((opening_e - by_jaw_e) / LOW_E, 0.0, 1.0)
    press = np.where(by_jaw_e > opening_e, 1 - opening_e / np.maximum(by_jaw_e, 1e-9), 0.0)
    tongue = np.where(gate > 0.01, curves.tongue * gate, 0.0)
    tongue = limit_speed(tongue, TONGUE_PER_SECOND / fps)
    # Closed lips hide a tuck; lips on their way to closing ("move my") do not.
    tuck = np.maximum(curves.tuck, tucks(shapes, times)) * gate * np.minimum(1, 4 * touch)
    return {
        "jaw": as_curve(jaw, 0, 1),
        "low": as_curve(low, 0, 1),
        "raise": as_curve(raise_lip, 0, 1),
        "press": as_curve(press, 0, 1),
        "tuck": as_curve(tuck, 0, 1),
        "wide": as_curve(smooth(curves.wide, LIPS_RISE_S, fps) * (0.15 + 0.85 * gate), -1, 1),
        "tongue": as_curve(tongue, 0, 1),
    }


def skew_curve(times: Array, seed: int) -> Curve:
    """Returns which side of the mouth leads: nobody's opens evenly, and the side stays with the person.

    -1..1, + = the picture's right; a constant of the seed and a slow wander around it.
    """
    rng = generator(seed, _SKEW_STREAM)
    side = float(rng.choice([-1.0, 1.0])) * float(rng.uniform(0.35, 0.6))
    return as_curve(side + 0.2 * smooth_noise(rng, times, SKEW_KNOT_S), -1, 1)
