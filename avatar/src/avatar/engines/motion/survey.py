"""Surveys a whole clip before drawing: where the face is and how it moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avatar.engines.motion.appearance import Likeness
from avatar.engines.motion.track import FaceTrack
from avatar.face.turning import yaw_deg
from avatar.tracks import MAX_RANGES, Range, nearest_joined

Floats = npt.NDArray[np.float32]

_COLOUR_SAMPLES = 500


@dataclass(frozen=True, slots=True)
class Survey:
    """One value per step; NaN where the face is lost, except `restless`."""

    found: npt.NDArray[np.bool_]
    centre: Floats
    """float32 (steps, 2), middle of the face in source pixels."""
    size: Floats
    """Distance of the outer eye corners in source pixels, in three dimensions."""
    yaw_deg: Floats
    gap: Floats
    """The person's own mouth opening, in E."""
    chin: Floats
    """Distance from the base of the nose to the chin, in E."""
    likeness: Likeness | None
    restless: Floats
    """How fast the head moves, in E per step."""

    @classmethod
    def of(cls, track: FaceTrack) -> Survey:
        found, centre, size, yaw, gap, chin = [], [], [], [], [], []
        colours: list[Floats] = []
        for _, block in track.blocks():
            points = block.points
            found.append(block.found)
            colours.append(block.colours[:: max(1, track.steps // _COLOUR_SAMPLES)])
            centre.append(points[:, :468, :2].mean(axis=1))
            e = np.maximum(np.linalg.norm(points[:, 263] - points[:, 33], axis=1), 1e-3)
            size.append(e)
            yaw.append(yaw_deg(points))
            chin.append(np.linalg.norm(points[:, 152, :2] - points[:, 2, :2], axis=1) / e)
            gap.append(np.linalg.norm(points[:, 13, :2] - points[:, 14, :2], axis=1) / e)
        places, sizes = np.concatenate(centre)[: track.steps], np.concatenate(size)[: track.steps]
        return cls(
            found=np.concatenate(found)[: track.steps],
            centre=places,
            size=sizes,
            yaw_deg=np.concatenate(yaw)[: track.steps],
            gap=np.concatenate(gap)[: track.steps],
            chin=np.concatenate(chin)[: track.steps],
            likeness=Likeness.of(np.concatenate(colours)) if any(flags.any() for flags in found) else None,
            restless=_restless(places, sizes),
        )

    def usual_centre(self) -> tuple[float, float]:
        """Median place of the face."""
        x, y = np.nanmedian(self.centre, axis=0)
        return float(x), float(y)

    def shut_chin_e(self) -> float:
        """Distance from nose to chin while the jaw is shut, in E: the shortest usual one."""
        return float(np.nanpercentile(self.chin, 15)) + 0.02

    def clearest(self) -> int:
        """The step to take colours from: frontal, large, mouth little open."""
        cost = (
            np.abs(self.yaw_deg) / 20
            + 3 * np.clip(self.gap - 0.02, 0, None)
            - self.size / np.nanmax(self.size)
        )
        return int(np.nanargmin(np.where(self.found, cost, np.nan)))

    def toothy(self, min_gap: float, max_gap: float, count: int) -> list[int]:
        """At most `count` steps, frontal ones first, whose mouth is open enough to show teeth."""
        cost = np.abs(self.yaw_deg) + 120 * np.abs(self.gap - 0.13)
        fitting = self.found & (self.gap > min_gap) & (self.gap < max_gap) & (np.abs(self.yaw_deg) < 18)
        steps = np.flatnonzero(fitting)
        return [int(step) for step in steps[np.argsort(cost[steps])][:count]]


def ranges(flags: npt.NDArray[np.bool_], max_ranges: int = MAX_RANGES) -> list[Range]:
    """Inclusive ranges of true values, at most `max_ranges` (`nearest_joined`)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    found = zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True)
    return nearest_joined(found, max_ranges)


def _restless(centre: Floats, size: Floats) -> Floats:
    speed = np.zeros(len(centre), np.float32)
    if len(centre) > 2:
        steps = np.linalg.norm(np.diff(centre, axis=0), axis=1) / np.maximum(size[1:], 1e-3)
        speed[1:] = np.nan_to_num(steps, nan=1.0)
        speed = np.convolve(np.pad(speed, 2, mode="edge"), np.full(5, 0.2), mode="valid").astype(np.float32)
    return speed
