"""Stands in for the package insightface: takes what its FaceAnalysis takes, gives faces with its names. Its
points are chosen by the test.
"""

from __future__ import annotations

import os
import sys
import types
import warnings
from typing import Any

import numpy as np
import pytest
from avatar.face.landmarks import Points
from avatar.face.layouts import JAW

IN_106 = {
    43: 70, 48: 63, 49: 105, 51: 66, 50: 107, 102: 336, 103: 296, 104: 334, 105: 293, 101: 300,
    72: 168, 73: 197, 74: 5, 86: 4, 77: 129, 83: 358, 35: 33, 39: 133, 33: 145, 40: 159, 89: 362, 93: 263,
    87: 374, 94: 386, 52: 61, 61: 291, 62: 13, 60: 14, 71: 0, 53: 17,
} | dict(zip(range(33), np.resize(JAW, 33).tolist(), strict=True))  # fmt: skip
"""106-point index to MediaPipe's, where both are known, by their common mapping to iBUG's 68; the outline
(0 to 32) in any order.
"""


def face(width: float = 100, height: float = 120, score: float = 0.9, left: float = 10) -> Any:
    points = np.random.default_rng(1).uniform(0, 100, (106, 2)).astype(np.float32)
    box = np.array([left, 10, left + width, 10 + height], np.float32)
    return types.SimpleNamespace(
        bbox=box, det_score=np.float32(score), landmark_2d_106=points, kps=points[:5]
    )


def to_crop(points: Points) -> Any:
    """The face of MediaPipe's landmarks (478, 3), numbered as InsightFace numbers it."""
    flat = np.tile(points[:, :2].mean(axis=0), (106, 1)).astype(np.float32)
    for index, ours in IN_106.items():
        flat[index] = points[ours, :2]
    shown = face()
    shown.landmark_2d_106 = flat
    shown.bbox = np.concatenate([flat.min(axis=0), flat.max(axis=0)])
    return shown


def install(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Makes `insightface` importable. Tells what FaceAnalysis was given; "faces" is what the next pictures
    show: a list, or a function of the picture.
    """
    seen: dict[str, Any] = {"faces": []}

    class FaceAnalysis:
        def __init__(self, name: str, root: str, allowed_modules: list[str], **options: Any) -> None:
            seen.update(name=name, root=root, modules=allowed_modules, options=options)
            # As the package and ONNX Runtime do.
            print(f"find model: {root}/models/{name}/det_10g.onnx detection [1, 3, '?', '?'] 127.5 128.0")
            warnings.warn("Specified provider 'CUDAExecutionProvider' is not available.", stacklevel=2)
            sys.stderr.flush()
            when = b"2026-01-31 10:02:44.123456789"
            os.write(2, b"\x1b[0;93m" + when + b" [W:onnxruntime:Default, a.cc:65 F] no card\x1b[m\n")

        def prepare(self, ctx_id: int, det_size: tuple[int, int]) -> None:
            seen.update(ctx_id=ctx_id, det_size=det_size)

        def get(self, image: np.ndarray) -> list[Any]:
            seen["image"] = image
            return list(seen["faces"](image) if callable(seen["faces"]) else seen["faces"])

    module, app = types.ModuleType("insightface"), types.ModuleType("insightface.app")
    app.FaceAnalysis = FaceAnalysis  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "insightface", module)
    monkeypatch.setitem(sys.modules, "insightface.app", app)
    return seen
