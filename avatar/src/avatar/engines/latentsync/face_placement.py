"""Tracks the placement of the speaker's face, also through frames in which it cannot be seen. Who the
speaker is: `avatar.face.follow`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from avatar.engines.base import EngineReport
from avatar.engines.latentsync.align import Aligner, Floats, Smoothing
from avatar.engines.liveportrait.ratios import lip_opening
from avatar.engines.motion.survey import ranges
from avatar.face.anchors import latentsync_anchors
from avatar.face.landmarks import FaceLandmarks
from avatar.face.turning import turn_of
from avatar.spec import Notice

Flags = npt.NDArray[np.bool_]

HELD_FRAMES = 5
"""A face that is not found stays where it was for so long: a blink of the detector, or a hand passing by."""
FADE_OUT_FRAMES = 8
FADE_IN_FRAMES = 4
TURNED_FRAMES = 5
"""So long a pose counts: the mesh takes a profile for less than that for a frame or two."""
TURN_AWAY_FRAMES = 4
"""However fast a head turns away, the drawn mouth needs so many frames to go: nothing jumps."""
LEAST_EYE_DISTANCE_PX = 16.0


@dataclass(frozen=True, slots=True)
class FacePlacement:
    """matrix: (2, 3) from frame to crop; None before any face was found. strength: 0..1, how much of the
    drawn face is shown. facing: 0..1, how much of it the head's pose lets through, see `HeadTurn.shown`.
    lips: how far the filmed ones are open, see `lip_opening`; NaN without a face.
    """

    matrix: Floats | None
    strength: float
    found: bool
    facing: float = 1.0
    lips: float = math.nan


@dataclass(frozen=True, slots=True)
class TrackingReport:
    """The face in each frame, found or turned away; filled while a clip is drawn, reported at its end."""

    found: Flags
    turned: Flags
    """Found, but turned so far that the filmed mouth shows through, or alone."""

    @classmethod
    def for_frames(cls, frames: int) -> TrackingReport:
        return cls(np.zeros(frames, np.bool_), np.zeros(frames, np.bool_))

    def record(self, index: int, placement: FacePlacement) -> None:
        self.found[index] = placement.found
        self.turned[index] = placement.found and placement.facing < 1

    def tell(self, name: str, report: EngineReport) -> None:
        """`name`: the video's, as people know it."""
        report.lost_face_frames = ranges(~self.found)
        for code, frames, what in (
            ("face.lost", ~self.found, "No face was found in {} frames of {}; they show the filmed mouth."),
            (
                "face.turned",
                self.turned,
                "The head is turned far in {} frames of {}: the filmed mouth shows.",
            ),
        ):
            if frames.any():
                message = what.format(int(frames.sum()), name)
                report.notices.append(Notice(code=code, message=message, details={"frames": ranges(frames)}))


@dataclass(slots=True)
class PlacementTracker:
    """One for each clip."""

    side_px: int
    smoothing: Smoothing = "steady"
    _aligner: Aligner = field(init=False)
    _last: FacePlacement = FacePlacement(None, 0.0, False)
    _anchors: Floats | None = None
    _missed: int = 0
    _facing: deque[float] = field(default_factory=lambda: deque(maxlen=TURNED_FRAMES))

    def __post_init__(self) -> None:
        self._aligner = Aligner(self.side_px, self.smoothing)

    def update(self, face: FaceLandmarks | None) -> FacePlacement:
        """Take in the speaker's face in the next frame."""
        self._last = self._lost() if face is None else self._found(face)
        return self._last

    def _found(self, face: FaceLandmarks) -> FacePlacement:
        if self._missed > HELD_FRAMES:  # it may be elsewhere by now: nothing is smoothed over the gap
            self._aligner = Aligner(self.side_px, self.smoothing)
            self._facing.clear()
        first = self._anchors is None and self._missed == 0
        self._anchors, self._missed = latentsync_anchors(face.points), 0
        self._facing.append(turn_of(face.points).shown)
        facing = min(self._facing)
        least, most = self._last.strength - 1 / TURN_AWAY_FRAMES, self._last.strength + 1 / FADE_IN_FRAMES
        strength = facing if first else max(0.0, least, min(facing, most))
        matrix = self._aligner.matrix(self._anchors)
        return FacePlacement(matrix, strength, True, facing, lip_opening(face.points))

    def _lost(self) -> FacePlacement:
        self._missed += 1
        if self._missed <= HELD_FRAMES:
            return FacePlacement(self._last.matrix, self._last.strength, False)
        return FacePlacement(self._last.matrix, max(0.0, self._last.strength - 1 / FADE_OUT_FRAMES), False)
