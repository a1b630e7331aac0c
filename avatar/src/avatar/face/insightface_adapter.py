"""InsightFace behind the anchors of the GPU engines: an operator's own package and models, off by default.

Its models may be used for non-commercial research only. Engines find faces through MediaPipe without it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from avatar.engines.weights import ModelStore
from avatar.errors import InvalidInput, Unavailable
from avatar.face.anchors import CropFrame, Floats, crop_around
from avatar.face.landmarks import Picture

CONSENT_VARIABLE, CONSENT_WORD = "AVATAR_INSIGHTFACE", "non-commercial"
_PACK = "buffalo_l"
_DETECTION_PX = 512
_LEFT_BROW, _RIGHT_BROW, _NOSE = (43, 48, 49, 51, 50), (101, 102, 103, 104, 105), (74, 77, 83, 86)
_LEFT_EYE, _RIGHT_EYE, _LIPS = (33, 35, 40, 39), (87, 89, 94, 93), (52, 61)
_LEAST_WIDTH_PX, _LEAST_HEIGHT_PX = 50, 80
_WIDTH_TO_HEIGHT = (0.2, 1.5)


@dataclass(frozen=True, slots=True)
class Face106:
    """A face of InsightFace: `points` float64 (106, 2) and `box` (left, top, right, bottom) in pixels."""

    points: Floats
    box: tuple[float, float, float, float]
    score: float

    @property
    def area_px(self) -> float:
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    @property
    def anchors(self) -> Floats:
        """See `avatar.face.anchors.latentsync_anchors`."""
        return np.stack([self.points[list(group)].mean(axis=0) for group in (_LEFT_BROW, _RIGHT_BROW, _NOSE)])

    def crop(self, *, scale: float = 2.3, lift: float = -0.125) -> CropFrame:
        """See `avatar.face.anchors.liveportrait_crop`."""
        eyes = (self.points[list(_LEFT_EYE)].mean(axis=0) + self.points[list(_RIGHT_EYE)].mean(axis=0)) / 2
        return crop_around(self.points, eyes, self.points[list(_LIPS)].mean(axis=0), scale=scale, lift=lift)


class InsightFaceDetector:
    """Detector and 106 points of `buffalo_l`, with the limits that LatentSync sets to faces."""

    def __init__(
        self, store: ModelStore, *, gpu: bool = True, environment: Mapping[str, str] = os.environ
    ) -> None:
        """Raises Unavailable `face.insightface_off`, `weights.missing`, `face.insightface_unavailable`."""
        if environment.get(CONSENT_VARIABLE) != CONSENT_WORD:
            raise Unavailable(
                "face.insightface_off",
                "InsightFace is off: its models may be used for non-commercial research only.",
                f"If your use is, set {CONSENT_VARIABLE}={CONSENT_WORD}; MediaPipe finds faces without it.",
            )
        # Both must lie there before the package is asked: it fetches a pack that it does not find.
        for role in ("insightface.detector", "insightface.landmarks"):
            store.require(role)
        try:
            from insightface.app import FaceAnalysis
        except ImportError as error:
            raise Unavailable(
                "face.insightface_unavailable",
                f"The package insightface cannot be imported here: {error}.",
                "Install insightface and onnxruntime into the worker's environment; its models are for "
                "non-commercial research only. MediaPipe finds faces without it.",
            ) from error
        self._analysis: Any = FaceAnalysis(
            name=_PACK,
            root=str(store.folder / "insightface"),
            allowed_modules=["detection", "landmark_2d_106"],
            providers=["CUDAExecutionProvider", "CPUExecutionProvider"] if gpu else ["CPUExecutionProvider"],
        )
        self._analysis.prepare(ctx_id=0 if gpu else -1, det_size=(_DETECTION_PX, _DETECTION_PX))

    def find(self, image_bgr: Picture, *, min_score: float = 0.5) -> list[Face106]:
        """Faces that can be used, of a BGR picture (h, w, 3), largest first."""
        if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
            shape = f"{image_bgr.dtype} {image_bgr.shape}"
            raise InvalidInput("picture.bad_shape", f"Expected an 8-bit BGR picture, got {shape}.")
        faces = [
            Face106(
                np.asarray(one.landmark_2d_106, np.float64),
                (float(one.bbox[0]), float(one.bbox[1]), float(one.bbox[2]), float(one.bbox[3])),
                float(one.det_score),
            )
            for one in self._analysis.get(image_bgr)
            if one.landmark_2d_106 is not None
        ]
        return sorted(
            (face for face in faces if face.score >= min_score and _usable(face)),
            key=lambda face: -face.area_px,
        )


def _usable(face: Face106) -> bool:
    width, height = face.box[2] - face.box[0], face.box[3] - face.box[1]
    if width < _LEAST_WIDTH_PX or height < _LEAST_HEIGHT_PX:
        return False
    return _WIDTH_TO_HEIGHT[0] <= width / height <= _WIDTH_TO_HEIGHT[1]
