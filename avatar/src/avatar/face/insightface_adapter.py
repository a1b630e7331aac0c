"""InsightFace behind the tracker port: an operator's own package and models, off by default. Engines that
need to know where a face lies follow it when it is switched on (`open_aligning_tracker`).

Its models may be used for non-commercial research only. Engines find faces through MediaPipe without it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from avatar.engines.base import EngineInfo
from avatar.engines.weights import ModelStore
from avatar.engines.weights.manifest import weight_file
from avatar.errors import Unavailable
from avatar.face.landmarks import MIN_SCORE, POINT_COUNT_106, FaceLandmarks, Picture, require_bgr
from avatar.face.quiet import quiet_start
from avatar.spec import Notice

CONSENT_VARIABLE, CONSENT_WORD = "AVATAR_INSIGHTFACE", "non-commercial"
DETECTOR, LANDMARKS, RECOGNITION = "insightface.detector", "insightface.landmarks", "insightface.recognition"
ROLES = (DETECTOR, LANDMARKS)
INSTALL = 'uv pip install --python .venv/bin/python "insightface==0.7.3" "onnxruntime>=1.20,<2" "protobuf<5"'
"""In avatar/ of a checkout. onnx would bring a newer protobuf, which MediaPipe does not run with."""
_PACK = "buffalo_l"
_DETECTION_PX = 512
_MIN_WIDTH_PX, _MIN_HEIGHT_PX = 50, 80
_WIDTH_TO_HEIGHT = (0.2, 1.5)


def insightface_is_configured(environment: Mapping[str, str] = os.environ) -> bool:
    """Returns whether somebody has said anything about it; what they said is judged when it is opened."""
    return environment.get(CONSENT_VARIABLE, "").strip() not in ("", "off")


def licence_notice() -> Notice:
    """Returns the notice for results that it took part in."""
    entry = weight_file(ROLES[0])
    return Notice(
        code="face.insightface",
        message=f"Faces are found by InsightFace ({_PACK}). Its models' licence: {entry.licence}. "
        "For non-commercial research only, and so is what is made with it.",
    )


def tracker_info() -> EngineInfo:
    """Returns the facts that it declares: the licence is that of the models."""
    return EngineInfo(
        name="insightface",
        version=_PACK,
        licence=weight_file(ROLES[0]).licence,
        inputs=("picture",),
        outputs=("landmarks",),
    )


def insightface_app(
    store: ModelStore, environment: Mapping[str, str] = os.environ, roles: tuple[str, ...] = ROLES
) -> Any:
    """The part of the package that finds faces, where all is there that it needs of the models.

    Raises Unavailable `face.insightface_off`, `weights.missing`, `face.insightface_unavailable`."""
    if environment.get(CONSENT_VARIABLE) != CONSENT_WORD:
        raise Unavailable(
            "face.insightface_off",
            "InsightFace is off: its models may be used for non-commercial research only.",
            f"If your use is, set {CONSENT_VARIABLE}={CONSENT_WORD}; MediaPipe finds faces without it.",
        )
    # They must lie there before the package is asked: it fetches a pack that it does not find.
    for role in roles:
        store.require(role)
    try:
        return importlib.import_module("insightface.app")
    except ImportError as error:
        raise Unavailable(
            "face.insightface_unavailable",
            f"The package insightface cannot be imported here: {error}.",
            f"In the worker's folder avatar/: {INSTALL}. Its models are for non-commercial research only;"
            " MediaPipe finds faces without it.",
        ) from error


class InsightFaceTracker:
    """Detector and 106 points of `buffalo_l`, with the limits that LatentSync sets to faces."""

    def __init__(
        self, store: ModelStore, *, gpu: bool | None = None, environment: Mapping[str, str] = os.environ
    ) -> None:
        """`gpu`: None where onnxruntime has its part for NVIDIA cards. Raises as `insightface_app`."""
        self._analysis = _open_analysis(store, ROLES, "landmark_2d_106", gpu, environment)

    def track(self, image_bgr: Picture) -> list[FaceLandmarks]:
        """See `FaceTracker.track`. Points are (106, 3) with z = 0; the largest of its boxes is first."""
        require_bgr(image_bgr)
        found = [
            one
            for one in self._analysis.get(image_bgr)
            if one.landmark_2d_106 is not None and float(one.det_score) >= MIN_SCORE and _usable(one)
        ]
        return [_face(one) for one in sorted(found, key=lambda one: -float(np.prod(_size(one))))]

    def close(self) -> None:
        """Its sessions end with it."""
        self._analysis = None


class FaceRecognizer:
    """ArcFace of `buffalo_l` (`w600k_r50.onnx`; Deng et al. 2019): faces of one person lie close together."""

    def __init__(self, store: ModelStore, *, environment: Mapping[str, str] = os.environ) -> None:
        """Raises as `insightface_app`."""
        self._analysis = _open_analysis(store, (DETECTOR, RECOGNITION), "recognition", None, environment)

    def embed(self, image_bgr: Picture) -> npt.NDArray[np.float32] | None:
        """Returns the embedding of the largest face of (h, w, 3), (512,) of length 1; None without a face."""
        found = self._analysis.get(image_bgr)
        if not found:
            return None
        return np.asarray(max(found, key=lambda one: np.prod(_size(one))).normed_embedding, np.float32)


def _open_analysis(
    store: ModelStore, roles: tuple[str, ...], module: str, gpu: bool | None, environment: Mapping[str, str]
) -> Any:
    """Returns the package's detector with one more of its modules. gpu: see `InsightFaceTracker`."""
    with quiet_start():
        app = insightface_app(store, environment, roles)
        gpu = _has_cuda() if gpu is None else gpu
        cuda = ["CUDAExecutionProvider"] if gpu else []
        analysis = app.FaceAnalysis(
            name=_PACK,
            root=str(store.folder / "insightface"),
            allowed_modules=["detection", module],
            providers=[*cuda, "CPUExecutionProvider"],
        )
        analysis.prepare(ctx_id=0 if gpu else -1, det_size=(_DETECTION_PX, _DETECTION_PX))
    return analysis


def _face(one: Any) -> FaceLandmarks:
    points = np.zeros((POINT_COUNT_106, 3), np.float32)
    points[:, :2] = one.landmark_2d_106
    return FaceLandmarks(points, min(1.0, float(one.det_score)))


def _size(one: Any) -> tuple[float, float]:
    """Width and height of the detector's box."""
    left, top, right, bottom = (float(side) for side in one.bbox)
    return right - left, bottom - top


def _usable(one: Any) -> bool:
    width, height = _size(one)
    if width < _MIN_WIDTH_PX or height < _MIN_HEIGHT_PX:
        return False
    return _WIDTH_TO_HEIGHT[0] <= width / height <= _WIDTH_TO_HEIGHT[1]


def _has_cuda() -> bool:
    try:
        import onnxruntime
    except ImportError:
        return False
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
