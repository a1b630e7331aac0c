"""The adapter of InsightFace, against a stand-in for its package: same calls, points that are chosen here."""

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avatar.engines.weights import ModelStore
from avatar.errors import Unavailable
from avatar.face.anchors import latentsync_anchors, liveportrait_crop
from avatar.face.insightface_adapter import InsightFaceDetector
from avatar.face.tracker import FaceTracker

ON = {"AVATAR_INSIGHTFACE": "non-commercial"}
IBUG_IN_106 = {
    43: 70, 48: 63, 49: 105, 51: 66, 50: 107, 102: 336, 103: 296, 104: 334, 105: 293, 101: 300,
    74: 5, 86: 4, 77: 129, 83: 358, 35: 33, 39: 133, 33: 145, 40: 159, 89: 362, 93: 263, 87: 374, 94: 386,
    52: 61, 61: 291,
}  # fmt: skip
"""106-point index to MediaPipe's, where both are known."""


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    folder = tmp_path / "insightface" / "models" / "buffalo_l"
    folder.mkdir(parents=True)
    for name in ("det_10g.onnx", "2d106det.onnx"):
        (folder / name).write_bytes(b"x")
    return ModelStore(tmp_path)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Takes what `FaceAnalysis` takes; `faces` is what the next picture shows."""
    seen: dict[str, Any] = {"faces": []}

    class FaceAnalysis:
        def __init__(self, name: str, root: str, allowed_modules: list[str], **options: Any) -> None:
            seen.update(name=name, root=root, modules=allowed_modules, options=options)

        def prepare(self, ctx_id: int, det_size: tuple[int, int]) -> None:
            seen.update(ctx_id=ctx_id, det_size=det_size)

        def get(self, image: np.ndarray) -> list[Any]:
            seen["image"] = image
            return list(seen["faces"])

    module, app = types.ModuleType("insightface"), types.ModuleType("insightface.app")
    app.FaceAnalysis = FaceAnalysis  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "insightface", module)
    monkeypatch.setitem(sys.modules, "insightface.app", app)
    return seen


def face(width: float = 100, height: float = 120, score: float = 0.9, left: float = 10) -> Any:
    points = np.random.default_rng(1).uniform(0, 100, (106, 2)).astype(np.float32)
    box = np.array([left, 10, left + width, 10 + height], np.float32)
    return types.SimpleNamespace(bbox=box, det_score=np.float32(score), landmark_2d_106=points)


def test_it_is_off_until_somebody_says_that_the_use_is_non_commercial(
    store: ModelStore, package: dict[str, Any]
) -> None:
    for environment in ({}, {"AVATAR_INSIGHTFACE": "yes"}):
        with pytest.raises(Unavailable, match="non-commercial research only") as off:
            InsightFaceDetector(store, environment=environment)
        assert off.value.code == "face.insightface_off"
    assert "name" not in package


def test_without_the_models_the_package_is_not_asked_for_it_would_fetch_them(
    tmp_path: Path, package: dict[str, Any]
) -> None:
    with pytest.raises(Unavailable, match=r"det_10g\.onnx") as missing:
        InsightFaceDetector(ModelStore(tmp_path / "none"), environment=ON)
    assert missing.value.code == "weights.missing" and "name" not in package


def test_without_the_package_the_error_tells_its_licence(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "insightface", None)
    with pytest.raises(Unavailable) as missing:
        InsightFaceDetector(store, environment=ON)
    assert missing.value.code == "face.insightface_unavailable" and "non-commercial" in missing.value.hint


def test_the_operators_models_are_opened_and_nothing_else(store: ModelStore, package: dict[str, Any]) -> None:
    InsightFaceDetector(store, gpu=False, environment=ON)
    assert package["name"] == "buffalo_l" and package["root"] == str(store.folder / "insightface")
    assert package["modules"] == ["detection", "landmark_2d_106"] and package["det_size"] == (512, 512)
    assert package["options"] == {"providers": ["CPUExecutionProvider"]} and package["ctx_id"] == -1


def test_faces_that_latentsync_would_not_take_are_left_out(
    store: ModelStore, package: dict[str, Any]
) -> None:
    good, larger = face(), face(width=200, height=220, left=300)
    package["faces"] = [
        face(width=49), face(height=79), face(width=400, height=200), face(score=0.4), good, larger,
    ]  # fmt: skip
    found = InsightFaceDetector(store, environment=ON).find(np.zeros((600, 800, 3), np.uint8))
    assert [one.box[0] for one in found] == [300, 10]


def test_its_points_give_the_same_anchors_as_mediapipes(
    store: ModelStore, package: dict[str, Any], astronaut: np.ndarray, tracker: FaceTracker
) -> None:
    """The indices of both sides name the same places of a face."""
    (seen,) = tracker.track(astronaut)
    points = np.tile(seen.points[:, :2].mean(axis=0), (106, 1))
    for index, ours in IBUG_IN_106.items():
        points[index] = seen.points[ours, :2]
    shown = face(width=100, height=120)
    shown.landmark_2d_106 = points
    package["faces"] = [shown]
    (found,) = InsightFaceDetector(store, environment=ON).find(astronaut)
    assert package["image"] is astronaut, "BGR, as the package takes it"
    assert found.anchors == pytest.approx(latentsync_anchors(seen.points), abs=1e-3)
    assert found.crop().angle == pytest.approx(liveportrait_crop(seen.points).angle, abs=0.01)
