"""The port to face tracking, for portraits (measured once) and motion video (measured per frame)."""

from __future__ import annotations

from typing import Protocol

from avatar.face.landmarks import FaceLandmarks, Picture


class FaceTracker(Protocol):
    """Finds faces in single pictures. One thread at a time: open one tracker per thread."""

    def track(self, image_bgr: Picture) -> list[FaceLandmarks]:
        """All faces of a (h, w, 3) BGR picture, largest first; [] when there is none.

        Every picture stands alone: nothing is smoothed or carried over from the one before.
        """
        ...

    def close(self) -> None: ...


def open_tracker(*, max_faces: int = 8, min_score: float = 0.5) -> FaceTracker:
    """The embedded tracker, MediaPipe Face Mesh.

    Faces narrower than about a tenth of the picture are missed: `avatar.face.search.find_faces` looks closer.
    Raises Unavailable `face.unavailable` where MediaPipe is not installed.
    """
    from avatar.face.mediapipe_adapter import MediaPipeTracker

    return MediaPipeTracker(max_faces=max_faces, min_score=min_score)
