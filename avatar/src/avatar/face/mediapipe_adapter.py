"""MediaPipe behind the tracker and segmenter ports; imported only when one of them is opened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np

from avatar.errors import Unavailable
from avatar.face.landmarks import MIN_SCORE, POINT_COUNT, FaceLandmarks, Mask, Picture, require_bgr
from avatar.face.quiet import quiet_native_logs

_FACE_GRAPH = "mediapipe/modules/face_landmark/face_landmark_front_cpu.binarypb"
_DETECTOR_THRESHOLD = (
    "facedetectionshortrangecpu__facedetectionshortrange__facedetection__"
    "TensorsToDetectionsCalculator.min_score_thresh"
)
_WORK_SIDE_PX = 640
_RADIUS = 1 / 80  # of the longer side: wider than the error of a 256-pixel mask, narrower than a neck
_EPSILON = 2e-4


def _import_mediapipe() -> Any:
    absl_level = logging.getLogger("absl").level
    try:
        with quiet_native_logs():
            import mediapipe
    except ImportError as error:
        raise Unavailable(
            "face.unavailable",
            f"Face tracking needs MediaPipe, which cannot be imported here: {error}.",
            "Install the `face` extra (Python 3.11, 3.12), or use a drawn character or a prepared portrait.",
        ) from error
    logging.getLogger("absl").setLevel(absl_level)
    return mediapipe


def _as_rgb(image_bgr: Picture) -> Picture:
    require_bgr(image_bgr)
    rgb: Picture = np.ascontiguousarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    return rgb


class _QuietGraph:
    """A MediaPipe graph that keeps its warnings off the terminal: at its start and with the first face."""

    def __init__(self, run: Callable[[Picture], Any], close: Callable[[], None]) -> None:
        self._run, self._close, self._settled = run, close, False
        # A graph starts in threads of its own: only a first picture proves that its start is over.
        self._run(np.zeros((64, 64, 3), np.uint8))

    def process(self, image_bgr: Picture, output: str) -> Any:
        """The stream `output` for one picture, or None."""
        rgb = _as_rgb(image_bgr)
        if self._settled:
            return self._run(rgb)
        with quiet_native_logs():
            result = self._run(rgb)
        self._settled = getattr(result, output) is not None
        return result

    def close(self) -> None:
        with quiet_native_logs():
            self._close()


class MediaPipeTracker:
    """Face Mesh in static mode: detector and mesh on every picture, no smoothing between pictures."""

    def __init__(self, max_faces: int) -> None:
        _import_mediapipe()
        from mediapipe.python.solution_base import SolutionBase

        with quiet_native_logs():
            # The stock `FaceMesh` class hides the detections; their scores say how far a face can be trusted.
            graph = SolutionBase(
                binary_graph_path=_FACE_GRAPH,
                side_inputs={"num_faces": max_faces, "with_attention": True, "use_prev_landmarks": False},
                calculator_params={
                    _DETECTOR_THRESHOLD: MIN_SCORE,
                    "facelandmarkcpu__ThresholdingCalculator.threshold": MIN_SCORE,
                },
                outputs=["multi_face_landmarks", "face_detections"],
            )
            self._graph = _QuietGraph(lambda rgb: graph.process({"image": rgb}), graph.close)

    def track(self, image_bgr: Picture) -> list[FaceLandmarks]:
        """See `FaceTracker.track`."""
        height, width = image_bgr.shape[:2]
        result = self._graph.process(image_bgr, "multi_face_landmarks")
        # The mesh gives z in units of the picture's width.
        unit = np.array([width, height, width], np.float32)
        faces = []
        for mesh in result.multi_face_landmarks or ():
            points = np.array([(p.x, p.y, p.z) for p in mesh.landmark], np.float32) * unit
            if points.shape != (POINT_COUNT, 3):
                continue
            centre_x, centre_y = points[:, 0].mean() / width, points[:, 1].mean() / height
            faces.append(FaceLandmarks(points, _score_at(centre_x, centre_y, result.face_detections or ())))
        return sorted(faces, key=lambda face: -face.area_px)

    def close(self) -> None:
        self._graph.close()


def _score_at(x: float, y: float, detections: Iterable[Any]) -> float:
    """The score of the detection nearest to (x, y), in fractions of the picture: the mesh has none."""
    nearest, score = float("inf"), 1.0
    for found in detections:
        box = found.location_data.relative_bounding_box
        distance = abs(box.xmin + box.width / 2 - x) + abs(box.ymin + box.height / 2 - y)
        if distance < nearest:
            nearest, score = distance, float(found.score[0])
    return min(1.0, score)


class MediaPipeSegmenter:
    """Selfie segmentation, its soft 256-pixel mask pulled to the edges of the picture."""

    def __init__(self) -> None:
        mediapipe = _import_mediapipe()
        with quiet_native_logs():
            selfie = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
            self._graph = _QuietGraph(selfie.process, selfie.close)

    def mask(self, image_bgr: Picture) -> Mask:
        """See `PersonSegmenter.mask`."""
        result = self._graph.process(image_bgr, "segmentation_mask")
        if result.segmentation_mask is None:
            return np.zeros(image_bgr.shape[:2], np.float32)
        return refine_edges(image_bgr, np.asarray(result.segmentation_mask, np.float32))

    def close(self) -> None:
        self._graph.close()


def refine_edges(image_bgr: Picture, mask: Mask) -> Mask:
    """Guided filter of a (h, w) mask with its picture as the guide; float32 (h, w) in 0..1.

    After He, Sun, Tang: Guided Image Filtering, ECCV 2010.
    """
    height, width = image_bgr.shape[:2]
    scale = min(1.0, _WORK_SIDE_PX / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    grey = cv2.cvtColor(cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    guide = grey.astype(np.float32) / np.float32(255)
    source = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), np.float32)
    side = 2 * max(2, round(_RADIUS * max(size))) + 1

    def mean(values: Mask) -> Mask:
        blurred = cv2.boxFilter(values, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REFLECT)
        return np.asarray(blurred, np.float32)

    guide_mean, source_mean = mean(guide), mean(source)
    covariance = mean(guide * source) - guide_mean * source_mean
    slope = covariance / (mean(guide * guide) - guide_mean**2 + np.float32(_EPSILON))
    offset = cv2.resize(mean(source_mean - slope * guide_mean), (width, height))
    slope = np.asarray(cv2.resize(mean(slope), (width, height)), np.float32)
    full = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255
    refined = np.clip(slope * full + offset, 0, 1)
    # A filtered mask is grey inside flat areas: push what is nearly sure to sure.
    return np.asarray(np.clip((refined - 0.08) / 0.84, 0, 1), np.float32)
