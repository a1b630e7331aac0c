"""Tracks a finished video with MediaPipe Face Mesh, each frame for itself; called by `avatar.measure.sync`.

Static mode on purpose: the tracking mode smooths over time and would flatter a late or jittering mouth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from avatar.errors import InvalidInput, Unavailable
from avatar.face.quiet import quiet_native_logs
from avatar.media_files import open_media

Pixels = npt.NDArray[np.uint8]
Signal = npt.NDArray[np.float32]
Landmarks = npt.NDArray[np.float32]

# Pairs of Face Mesh points: upper and lower inner lip, upper and lower lids, corners of each eye.
_LIP_PAIRS = ((13, 14), (82, 87), (312, 317))
_LID_PAIRS = ((159, 145), (158, 153), (386, 374), (385, 380))
_EYE_WIDTHS = ((33, 133), (362, 263))


@dataclass(frozen=True, slots=True)
class Observation:
    """The signals that the tracker measured. All signals float32 (frames,), NaN where no face was found.

    aperture, width: gap of the inner lips and distance of the mouth corners in E;
    eye: lid gap over eye width; yaw_deg: + when the face turns to the picture's right;
    landmarks (frames, 478, 3) in pixels.
    """

    aperture: Signal
    width: Signal
    eye: Signal
    yaw_deg: Signal
    landmarks: Landmarks

    @property
    def frames(self) -> int:
        return len(self.aperture)

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.aperture)


def frames_of(video: Path) -> Iterator[Pixels]:
    """The frames of a video file as BGR, one at a time."""
    with ExitStack() as stack:
        try:
            container = stack.enter_context(open_media(video))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise InvalidInput("video.unreadable", f"{video.name} cannot be opened: {error}") from error
        if not container.streams.video:
            raise InvalidInput("video.no_frames", f"{video.name} has no picture")
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)


def watch(video: Path | Iterable[Pixels]) -> Observation:
    """Find the largest face in every frame.

    Raises `face.unavailable` without MediaPipe and `video.no_frames` when there is nothing to look at.
    """
    frames = frames_of(video) if isinstance(video, Path) else video
    rows: list[Landmarks] = []
    with closing(_open_mesh()) as mesh:
        rows.extend(_largest_face(mesh, frame) for frame in frames)
    if not rows:
        raise InvalidInput("video.no_frames", "there is no frame to look at")
    return observation(np.stack(rows))


def observation(points: Landmarks) -> Observation:
    """Signals of landmarks (frames, 478, 3); lengths along a turned face use z, so yaw does not shorten E."""
    eye_distance = np.maximum(_distance(points, 33, 263), 1e-6)
    aperture = np.mean([_distance(points, a, b, planar=True) for a, b in _LIP_PAIRS], axis=0) / eye_distance
    lids = np.mean([_distance(points, a, b, planar=True) for a, b in _LID_PAIRS], axis=0)
    widths = np.mean([_distance(points, a, b) for a, b in _EYE_WIDTHS], axis=0)
    across = points[:, 263] - points[:, 33]
    return Observation(
        aperture=aperture.astype(np.float32),
        width=(_distance(points, 61, 291) / eye_distance).astype(np.float32),
        eye=(lids / np.maximum(widths, 1e-6)).astype(np.float32),
        yaw_deg=np.degrees(np.arctan2(across[:, 2], across[:, 0])).astype(np.float32),
        landmarks=points,
    )


def _distance(points: Landmarks, a: int, b: int, *, planar: bool = False) -> Signal:
    axes = 2 if planar else 3
    return np.asarray(np.linalg.norm(points[:, a, :axes] - points[:, b, :axes], axis=1), dtype=np.float32)


def _open_mesh() -> Any:
    try:
        with quiet_native_logs():
            from mediapipe.python.solutions import face_mesh
    except ImportError as error:
        raise Unavailable(
            "face.unavailable",
            "measuring a video needs MediaPipe, which is not installed",
            "install the worker with the `face` extra on Python 3.12 or older",
        ) from error
    with quiet_native_logs():
        mesh = face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=2, refine_landmarks=True, min_detection_confidence=0.3
        )
        # The graph starts in threads of its own: only a first picture proves that its start is over.
        mesh.process(np.zeros((64, 64, 3), np.uint8))
    return mesh


def _largest_face(mesh: Any, frame: Pixels) -> Landmarks:
    height, width = frame.shape[:2]
    faces = mesh.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).multi_face_landmarks or []
    best = np.full((478, 3), np.nan, dtype=np.float32)
    best_size = 0.0
    for face in faces:
        points = np.array([(p.x * width, p.y * height, p.z * width) for p in face.landmark], dtype=np.float32)
        size = float(np.linalg.norm(points[10] - points[152]))
        if size > best_size:
            best, best_size = points, size
    return best
