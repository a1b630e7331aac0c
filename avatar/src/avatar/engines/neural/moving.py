"""Frames of a face that LivePortrait moves by the control track of a speech: of a photo, or of a video whose
lips alone it moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from avatar.engines.base import EngineReport, Pixels
from avatar.engines.latentsync.engine import Job, OpenTracker, read_footage
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.beside_speech import Driving, driving_poses
from avatar.engines.liveportrait.drive import neutral
from avatar.engines.liveportrait.filmed import follow_faces
from avatar.engines.liveportrait.poses import DrivingFace, Manner, Openings
from avatar.engines.liveportrait.puppet import speech_poses
from avatar.engines.liveportrait.reenactment import Reenactment
from avatar.engines.mesh.preparation import PreparedStage, prepare_stage
from avatar.engines.motion.survey import ranges
from avatar.engines.resume_cache import NO_CACHE, ResumeCache
from avatar.errors import Unavailable
from avatar.face.anchors import liveportrait_crop
from avatar.face.landmarks import FaceLandmarks, Picture
from avatar.face.tracker import FaceTracker, declare, open_aligning_tracker, open_tracker
from avatar.spec import MediaRef, Notice, PhotoFace
from avatar.tracks import ControlTrack

LARGEST_WORK_PX = 2_000_000
MOUTH_E = 0.55
"""How wide a mouth is, in distances of the outer eye corners; faces of a video are not measured for it."""

Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Still:
    """A photo as it is shown: cut for `size`, `factor` times as large where the face would be too small for
    the networks.
    """

    prepared: PreparedStage
    size: tuple[int, int]
    factor: int

    @property
    def picture(self) -> Picture:
        return self.prepared.stage.pixels

    @property
    def face(self) -> FaceLandmarks:
        return FaceLandmarks(self.prepared.stage.points, 1.0)

    @property
    def work_size(self) -> tuple[int, int]:
        return self.size[0] * self.factor, self.size[1] * self.factor

    def resize_back(self, picture: Pixels) -> Pixels:
        """A drawn picture in the size that is asked for."""
        if self.factor == 1:
            return picture
        return np.asarray(cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA), np.uint8)


def still_of(
    face: PhotoFace, size: tuple[int, int], resolve: Callable[[MediaRef], Path], cache: Path, side_px: int
) -> Still:
    """The photo cut as the engine without a card cuts it. `side_px`: what the networks' crop is to measure.

    Raises as `prepare_stage`.
    """
    portrait = resolve(face.portrait) if face.portrait is not None else None
    image = resolve(face.image)
    prepared = prepare_stage(image, portrait, face.face_index, size, cache)
    crop = liveportrait_crop(prepared.stage.points).side
    largest = max(1, math.isqrt(LARGEST_WORK_PX // (size[0] * size[1])))
    factor = min(largest, max(1, math.ceil(side_px / max(crop, 1.0))))
    if factor > 1:
        larger = (size[0] * factor, size[1] * factor)
        prepared = prepare_stage(image, portrait, face.face_index, larger, cache)
    return Still(prepared, size, factor)


def photo_pictures(
    still: Still,
    track: ControlTrack,
    animator: Animator,
    batch: int,
    check: Check,
    resume_cache: ResumeCache = NO_CACHE,
    driving: Driving | None = None,
) -> Iterator[Pixels]:
    """Yields one picture of `still.work_size` for each frame of the track. `resume_cache`: what a stopped run
    had drawn. `driving`: who moves the head beside the speech.
    """
    drawing = Reenactment(animator, batch=batch, resume_cache=resume_cache)
    with animator.stoppable(check):
        source = drawing.face_of(still.picture, still.face.points)
        poses = (
            speech_poses(source, still.face, track)
            if driving is None
            else driving_poses(source, still.face, track, driving)
        )
        for picture in drawing.photo(still.picture, source, poses):
            check()
            yield picture


def video_pictures(
    job: Job,
    track: ControlTrack,
    animator: Animator,
    batch: int,
    report: EngineReport,
    check: Check,
    resume_cache: ResumeCache = NO_CACHE,
    find: OpenTracker = open_aligning_tracker,
) -> Iterator[Pixels]:
    """Yields the footage with its lips moved as the track says, one picture for each of its frames.
    `resume_cache`: what a stopped run had drawn.
    """
    drawing = Reenactment(animator, batch=batch, resume_cache=resume_cache)
    manner = Manner(shut_lips=False, lips=True)
    with closing(find()) as tracker, animator.stoppable(check):
        declare(tracker, report)
        frames = follow_faces(read_footage(job, report), tracker, job.face.face_index)
        for picture in drawing.video(frames, _lips(track), manner):
            check()
            yield picture
    report.lost_face_frames = ranges(np.isin(np.arange(track.frames), drawing.lost))
    if report.lost_face_frames:
        report.notices.append(
            Notice(
                code="face.lost",
                message=f"No face was found in {len(drawing.lost)} frames of {job.name}.",
                details={"frames": report.lost_face_frames},
            )
        )


def _lips(track: ControlTrack) -> Iterator[DrivingFace]:
    """A driving face whose lips open as the track says, and which does nothing else."""
    gaps = track.aperture_e() / MOUTH_E
    still = neutral()
    eyes = np.zeros(2, np.float32)
    for gap in gaps:
        yield DrivingFace(still, Openings(eyes, float(gap)))


class DrawnFaceTracker:
    """Follows the face of a photo through pictures that were drawn from it. Where the tracker finds nothing
    the face is where it was last, at first where the photo has it: it is never lost. Without a tracker
    (MediaPipe is not installed) it is taken to be there always.
    """

    def __init__(self, still: Still, tracker: FaceTracker | None) -> None:
        self._face = still.face
        self._tracker = tracker

    def track(self, image_bgr: Picture) -> list[FaceLandmarks]:
        if self._tracker is None:
            return [self._face]
        near = [face for face in self._tracker.track(image_bgr) if self._distance_e(face) < 1.0]
        if near:
            self._face = min(near, key=self._distance_e)
        return [self._face]

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()

    def _distance_e(self, face: FaceLandmarks) -> float:
        away = face.points[:, :2].mean(axis=0) - self._face.points[:, :2].mean(axis=0)
        return float(np.hypot(*away)) / max(self._face.eye_distance_px, 1e-6)


def tracker_if_there() -> FaceTracker | None:
    try:
        return open_tracker()
    except Unavailable:
        return None
