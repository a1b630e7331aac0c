"""The port to face tracking, for portraits (measured once) and motion video (measured per frame)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from avatar.face.landmarks import FaceLandmarks, Picture

if TYPE_CHECKING:
    from avatar.engines.base import EngineReport


class FaceTracker(Protocol):
    """Finds faces in single pictures. One thread at a time: open one tracker per thread."""

    def track(self, image_bgr: Picture) -> list[FaceLandmarks]:
        """All faces of a (h, w, 3) BGR picture, largest first; [] when there is none.

        Every picture stands alone: nothing is smoothed or carried over from the one before.
        """
        ...

    def close(self) -> None: ...


def open_tracker(*, max_faces: int = 8) -> FaceTracker:
    """The embedded tracker, MediaPipe Face Mesh.

    Faces narrower than about a tenth of the picture are missed: `avatar.face.search.find_faces` looks closer.
    Raises Unavailable `face.unavailable` where MediaPipe is not installed.
    """
    from avatar.face.mediapipe_adapter import MediaPipeTracker

    return MediaPipeTracker(max_faces)


def open_aligning_tracker(
    models: Path | None = None, environment: Mapping[str, str] = os.environ
) -> FaceTracker:
    """The tracker of engines that ask where a face lies and how far eyes and lips are open, no more: the
    operator's InsightFace where it is switched on, else the embedded one.

    `models`: where the operator's weights lie. Raises as `open_tracker` and `InsightFaceTracker`.
    """
    from avatar.engines.weights import ModelStore, models_folder
    from avatar.face.insightface_adapter import InsightFaceTracker, insightface_is_configured

    if not insightface_is_configured(environment):
        return open_tracker()
    return InsightFaceTracker(ModelStore(models or models_folder(environment)), environment=environment)


def declare(tracker: FaceTracker, report: EngineReport) -> None:
    """Adds to the report what a result must say of its tracker."""
    from avatar.face.insightface_adapter import InsightFaceTracker, licence_notice, tracker_info

    if isinstance(tracker, InsightFaceTracker):
        report.notices.append(licence_notice())
        report.trackers.append(tracker_info())
