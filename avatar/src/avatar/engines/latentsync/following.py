"""Follows the speaker's face from frame to frame, through moments in which it cannot be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from avatar.engines.latentsync.align import Aligner, Floats, Smoothing
from avatar.face.anchors import latentsync_anchors
from avatar.face.landmarks import FaceLandmarks

HELD_FRAMES = 5
"""A face that is not found stays where it was for so long: a blink of the detector, or a hand passing by."""
FADE_OUT_FRAMES = 8
FADE_IN_FRAMES = 4
LEAST_EYE_DISTANCE_PX = 16.0


@dataclass(frozen=True, slots=True)
class Seen:
    """matrix: (2, 3) from frame to crop; None before any face was found. strength: 0..1, how much of the
    drawn face is shown.
    """

    matrix: Floats | None
    strength: float
    found: bool


@dataclass(slots=True)
class Follower:
    """One for each clip. index: which face, counted from the left, in the first frame that has one; None is
    the largest. Later the face nearest to where it was is taken.
    """

    side_px: int
    index: int | None = None
    smoothing: Smoothing = "steady"
    _aligner: Aligner = field(init=False)
    _last: Seen = Seen(None, 0.0, False)
    _anchors: Floats | None = None
    _missed: int = 0

    def __post_init__(self) -> None:
        self._aligner = Aligner(self.side_px, self.smoothing)

    def see(self, faces: Sequence[FaceLandmarks]) -> Seen:
        """Take in what the tracker found in the next frame."""
        chosen = self._chosen([face for face in faces if face.eye_distance_px >= LEAST_EYE_DISTANCE_PX])
        self._last = self._lost() if chosen is None else self._found(chosen)
        return self._last

    def _found(self, anchors: Floats) -> Seen:
        if self._missed > HELD_FRAMES:  # it may be elsewhere by now: nothing is smoothed over the gap
            self._aligner = Aligner(self.side_px, self.smoothing)
        first = self._anchors is None
        self._anchors, self._missed = anchors, 0
        strength = 1.0 if first else min(1.0, self._last.strength + 1 / FADE_IN_FRAMES)
        return Seen(self._aligner.matrix(anchors), strength, True)

    def _lost(self) -> Seen:
        self._missed += 1
        if self._missed <= HELD_FRAMES:
            return Seen(self._last.matrix, self._last.strength, False)
        return Seen(self._last.matrix, max(0.0, self._last.strength - 1 / FADE_OUT_FRAMES), False)

    def _chosen(self, faces: Sequence[FaceLandmarks]) -> Floats | None:
        if not faces:
            return None
        if self._anchors is None:
            if self.index is None:
                return latentsync_anchors(max(faces, key=lambda face: face.area_px).points)
            ordered = sorted(faces, key=lambda face: face.box[0])
            return latentsync_anchors(ordered[self.index].points) if self.index < len(ordered) else None
        all_anchors = [latentsync_anchors(face.points) for face in faces]
        middle = self._anchors.mean(axis=0)
        nearest = min(all_anchors, key=lambda three: float(np.linalg.norm(three.mean(axis=0) - middle)))
        reach = 3 * float(np.linalg.norm(self._anchors[1] - self._anchors[0])) * (1 + self._missed / 10)
        away = float(np.linalg.norm(nearest.mean(axis=0) - middle))
        return nearest if away <= reach or self._missed > 2 * (HELD_FRAMES + FADE_OUT_FRAMES) else None
