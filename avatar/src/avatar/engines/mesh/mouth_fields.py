"""Computes how the skin around a mouth moves: one displacement field per gesture, above and below the lips.

One continuous field can never part two lips. So there are two: the upper layer carries all above the lip
line, the lower layer all below it. They agree outside the corners, part between them, and the interior shows
in the gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avatar.engines.mesh.axes import Floats, smoothstep
from avatar.engines.mesh.lips import MouthShape
from avatar.tracks import JAW_E, LOW_E, RAISE_E

GESTURES = ("close", "jaw", "low", "raise", "tuck", "spread", "pucker", "smile", "press")

JAW_LIFT_E = 0.018  # of the jaw's opening, the part that the upper lip gives
CORNER_SHARE = 0.30  # of the jaw's drop that the mouth corners follow
PRESS_SHARE = 0.3  # of an opening that lips shut by themselves, the part that the upper lip makes
ROUND_SHARE = 0.34  # of an opening between pouted lips, the part that the upper lip makes
TUCK_E = 0.010
SPREAD_E, PUCKER_E, JAW_NARROWS_E = 0.052, 0.118, 0.006  # what either corner moves
_ROUNDNESS = 0.66
# An opening is the mean over three pairs of landmarks, at the middle and at 0.45 of the way to either corner.
_MEAN_PROFILE = (1 + 2 * (1 - 0.45**2) ** _ROUNDNESS) / 3
THICKEN, SMILE_THINS = 0.35, 0.8
CLOSING_OVERLAP_E = 0.004
NECK_E = 0.42
SMILE_UP, SMILE_DOWN = 0.50, 0.42
"""Of the smile of the fields, what a mood takes: more looks pulled where no cheek rises."""


@dataclass(frozen=True, slots=True)
class MouthBasis:
    """Displacements in E per unit weight, each float32 (len(GESTURES), ...) like the points asked for.

    `across` (along u) is shared by both layers; `upper` and `lower` run along v.
    """

    across: Floats
    upper: Floats
    lower: Floats

    def mix(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """(across, upper, lower) for one set of weights. einsum, because BLAS would start threads for
        this.
        """
        across, upper, lower = (
            np.einsum("k,k...->...", weights, part) for part in (self.across, self.upper, self.lower)
        )
        return across, upper, lower


@dataclass(frozen=True, slots=True)
class MouthPose:
    """One moment of a mouth, in the units of `avatar.tracks.CHANNELS`."""

    jaw: float = 0.0
    low: float = 0.0
    raise_: float = 0.0
    press: float = 0.0
    tuck: float = 0.0
    wide: float = 0.0
    tongue: float = 0.0
    smile: float = 0.0

    @classmethod
    def of(cls, channels: dict[str, float]) -> MouthPose:
        """From `ControlTrack.at`."""
        c = channels
        lips = (c["jaw"], c["low"], c["raise"], c["press"], c["tuck"], c["wide"], c["tongue"])
        return cls(*lips, c["smile"])

    @property
    def lips_jaw(self) -> float:
        """Returns how far the jaw parts the lips, in units of `jaw`; pressed lips give back the rest."""
        return self.jaw * (1 - self.press)

    @property
    def lips_low(self) -> float:
        """Returns how far the lower lip is let down, in units of `low`."""
        return self.low * (1 - self.press)

    @property
    def pucker(self) -> float:
        return max(0.0, -self.wide)

    def weights(self, rest_smile: float) -> Floats:
        """Weights of GESTURES. `rest_smile` < 0 takes the smile out of a face that was photographed
        smiling.
        """
        # Rounded lips pull the smile folds in further.
        smile = rest_smile * (1 + 0.35 * self.pucker) + 0.10 * max(0.0, self.wide)
        # A pout leaves little of a mood in the corners.
        smile += (SMILE_UP if self.smile > 0 else SMILE_DOWN) * self.smile * (1 - 0.6 * self.pucker)
        # A pout opens upwards too, until the hole is round.
        lift_e = ROUND_SHARE * self.pucker * (JAW_E * self.lips_jaw + LOW_E * self.lips_low)
        raised = self.raise_ * (1 - self.press) + lift_e / RAISE_E
        low = self.lips_low - lift_e / LOW_E
        lips = [1.0, self.jaw, low, raised, self.tuck, max(0.0, self.wide), self.pucker, smile]
        return np.array([*lips, self.jaw * self.press], np.float32)


def mouth_basis(shape: MouthShape, u: Floats, v: Floats) -> MouthBasis:
    """The fields at points (u, v) of `shape.axes`; u and v are float32 arrays of one shape."""
    side = np.abs(u - np.float32(shape.centre))
    half = np.float32(shape.half_width)
    t = side / half
    inside = t < 1
    # Zero at the inner corner, or the cavity would get square ends; a root (0.5) would make a bowl of it.
    profile = np.power(np.clip(1 - t**2, 0, 1), _ROUNDNESS) / np.float32(_MEAN_PROFILE)
    seam = shape.upper.line(u)
    upper_edge, lower_edge = shape.upper(u), shape.lower(u)
    above = np.maximum(0, upper_edge - v)
    below = np.maximum(0, v - lower_edge)
    chin, nose = shape.chin_v, -shape.nose_v

    # Fades of what moves a lip alone: gone at the nose, and at the chin.
    lip_up = 1 - smoothstep(0.05, max(0.16, 0.9 * nose), above)
    lip_down = 1 - smoothstep(0.06, max(0.2, 0.8 * chin), below)

    corner = CORNER_SHARE * np.exp(-(((side - half) / 0.22) ** 2))
    near = np.where(inside, CORNER_SHARE + (1 - CORNER_SHARE) * profile, corner)
    near_upper = np.where(inside, CORNER_SHARE * t**3, corner)
    lateral = 1 - smoothstep(0.22, 0.80, side)
    depth = smoothstep(0.0, 0.24, v - np.maximum(seam, lower_edge))
    neck = 1 - smoothstep(chin + 0.02, chin + 0.02 + NECK_E, v)
    jaw_lower = (JAW_E - JAW_LIFT_E) * ((1 - depth) * near + depth * lateral) * neck
    jaw_upper = (JAW_E - JAW_LIFT_E) * near_upper * np.exp(-((np.maximum(0, seam - v) / 0.28) ** 2))
    jaw_upper = jaw_upper - JAW_LIFT_E * profile * lip_up

    gap = np.maximum(0, lower_edge - upper_edge)
    # An open mouth shuts by its lower lip; only a bared upper row is covered by the upper lip.
    share = np.minimum(0.42 * gap, 0.036)
    close_upper = (share + 0.5 * CLOSING_OVERLAP_E * profile * (gap > 0.004)) * lip_up
    close_lower = -(gap - share) * lip_down

    low = LOW_E * np.power(profile, 0.9) * lip_down
    lift = -RAISE_E * profile * lip_up
    tuck = -TUCK_E * profile * lip_down

    reach = np.where(inside, 1.0, np.exp(-(((side - half) / 0.24) ** 2)))
    # Less far up than down: the folds beside the nose would be drawn in and waver.
    height = np.where(v < seam, 0.21, 0.34)
    pull = (u - np.float32(shape.centre)) / half * reach * np.exp(-(((v - seam) / height) ** 2))
    # Pouting lips grow thicker: away from their own edge, so that the opening stays what it is.
    lips = np.exp(-((side / (half * 1.1)) ** 4))
    thick = 0.09
    swell_upper = -THICKEN * thick * np.tanh(above / thick) * np.exp(-((above / 0.2) ** 2)) * lips
    swell_lower = THICKEN * thick * np.tanh(below / thick) * np.exp(-((below / 0.22) ** 2)) * lips

    smile_at = np.exp(-(((side - half * 1.05) / 0.20) ** 2) - ((v - seam) / 0.22) ** 2)
    smile_in = smile_at * smoothstep(0.0, 1.0, t)
    smile_across = 0.055 * np.sign(u - np.float32(shape.centre)) * smile_in
    smile_down = -0.075 * smile_in
    # A smile stretches the lips thin; taken out again, they fill.
    thin_upper, thin_lower = -SMILE_THINS * swell_upper, -SMILE_THINS * swell_lower

    # The lips come together again over a jaw that stays open: what `jaw` parts at their edges, no more.
    parted = (JAW_E - JAW_LIFT_E) * np.where(inside, near - near_upper, 0.0) + JAW_LIFT_E * profile
    press_upper, press_lower = PRESS_SHARE * parted * lip_up, -(1 - PRESS_SHARE) * parted * lip_down

    zero = np.zeros_like(u)
    across = np.stack(
        [zero, -JAW_NARROWS_E * pull, zero, zero, zero, SPREAD_E * pull, -PUCKER_E * pull, smile_across, zero]
    )
    upper = np.stack(
        [close_upper, jaw_upper, zero, lift, zero, zero, swell_upper, smile_down + thin_upper, press_upper]
    )
    lower = np.stack(
        [close_lower, jaw_lower, low, zero, tuck, zero, swell_lower, smile_down + thin_lower, press_lower]
    )
    return MouthBasis(across.astype(np.float32), upper.astype(np.float32), lower.astype(np.float32))
