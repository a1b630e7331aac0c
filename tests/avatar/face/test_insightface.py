"""The adapter of InsightFace, against a stand-in for its package: same calls, points that are chosen here."""

import json
import sys
from argparse import Namespace
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avatar.cli.inspection import print_engines
from avatar.engines.base import EngineReport
from avatar.engines.latentsync.face_placement import PlacementTracker
from avatar.engines.liveportrait.ratios import eye_openings, lip_opening
from avatar.engines.weights import ModelStore
from avatar.errors import Unavailable
from avatar.face.anchors import latentsync_anchors, liveportrait_crop
from avatar.face.insightface_adapter import INSTALL, FaceRecognizer, InsightFaceTracker
from avatar.face.layouts import MESH, POINTS_106
from avatar.face.mediapipe_adapter import MediaPipeTracker
from avatar.face.tracker import FaceTracker, declare, open_aligning_tracker
from avatar.face.turning import turn_of
from clipmaker import load_person
from clipmaker.scene import Stage
from insightface_double import face, install, to_crop

ON = {"AVATAR_INSIGHTFACE": "non-commercial"}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    folder = tmp_path / "insightface" / "models" / "buffalo_l"
    folder.mkdir(parents=True)
    for name in ("det_10g.onnx", "2d106det.onnx"):
        (folder / name).write_bytes(b"x")
    return ModelStore(tmp_path)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return install(monkeypatch)


def test_it_is_off_until_somebody_says_that_the_use_is_non_commercial(
    store: ModelStore, package: dict[str, Any]
) -> None:
    for environment in ({}, {"AVATAR_INSIGHTFACE": "yes"}):
        with pytest.raises(Unavailable, match="non-commercial research only") as off:
            InsightFaceTracker(store, environment=environment)
        assert off.value.code == "face.insightface_off"
    assert "name" not in package


def test_without_the_models_the_package_is_not_asked_for_it_would_fetch_them(
    tmp_path: Path, package: dict[str, Any]
) -> None:
    with pytest.raises(Unavailable, match=r"det_10g\.onnx") as missing:
        InsightFaceTracker(ModelStore(tmp_path / "none"), environment=ON)
    assert missing.value.code == "weights.missing" and "name" not in package


def test_without_the_package_the_error_tells_its_licence(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "insightface", None)
    with pytest.raises(Unavailable) as missing:
        InsightFaceTracker(store, environment=ON)
    assert missing.value.code == "face.insightface_unavailable" and "non-commercial" in missing.value.hint
    guide = Path(__file__).parents[3] / "docs" / "guide" / "weights.md"
    assert INSTALL in missing.value.hint and f"$ {INSTALL}\n" in guide.read_text(), "one line, word by word"


def test_the_operators_models_are_opened_and_nothing_else(store: ModelStore, package: dict[str, Any]) -> None:
    InsightFaceTracker(store, gpu=False, environment=ON)
    assert package["name"] == "buffalo_l" and package["root"] == str(store.folder / "insightface")
    assert package["modules"] == ["detection", "landmark_2d_106"] and package["det_size"] == (512, 512)
    assert package["options"] == {"providers": ["CPUExecutionProvider"]} and package["ctx_id"] == -1


def test_what_the_package_prints_at_its_start_reaches_neither_output(
    store: ModelStore,
    package: dict[str, Any],
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    """Standard output carries the worker's events."""
    InsightFaceTracker(store, environment=ON).close()
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)


def test_faces_that_latentsync_would_not_take_are_left_out(
    store: ModelStore, package: dict[str, Any]
) -> None:
    good, larger = face(), face(width=200, height=220, left=300)
    package["faces"] = [
        face(width=49), face(height=79), face(width=400, height=200), face(score=0.4), good, larger,
    ]  # fmt: skip
    larger.landmark_2d_106 = larger.landmark_2d_106 + 1000
    found = InsightFaceTracker(store, environment=ON).track(np.zeros((600, 800, 3), np.uint8))
    assert [one.box[0] > 900 for one in found] == [True, False]


def test_its_points_give_the_same_places_as_mediapipes(
    store: ModelStore, package: dict[str, Any], astronaut: np.ndarray, tracker: FaceTracker
) -> None:
    """The indices of both sides name the same places of a face."""
    (seen,) = tracker.track(astronaut)
    package["faces"] = [to_crop(seen.points)]
    (found,) = InsightFaceTracker(store, environment=ON).track(astronaut)
    assert package["image"] is astronaut, "BGR, as the package takes it"
    assert found.points.shape == (106, 3)
    assert latentsync_anchors(found.points) == pytest.approx(latentsync_anchors(seen.points), abs=1e-3)
    ours, theirs = liveportrait_crop(seen.points), liveportrait_crop(found.points)
    assert theirs.angle == pytest.approx(ours.angle, abs=0.01)
    assert theirs.side == pytest.approx(ours.side, rel=0.05)
    assert np.array(theirs.centre) == pytest.approx(ours.centre, abs=0.05 * ours.side)
    assert found.eye_distance_px == pytest.approx(seen.eye_distance_px)
    assert eye_openings(found.points) == pytest.approx(eye_openings(seen.points), abs=1e-3)
    assert lip_opening(found.points) == pytest.approx(lip_opening(seen.points), abs=1e-3)


@pytest.mark.parametrize("degrees", [-30, -15, 0, 15, 30])
def test_a_turned_head_is_known_without_depth(degrees: int, tracker: FaceTracker) -> None:
    stage = Stage(load_person("astronaut", 92), (640, 480))
    (seen,) = tracker.track(stage.draw(stage.person.pixels, yaw=degrees))
    flat = np.zeros((106, 3), np.float32)
    flat[:, :2] = to_crop(seen.points).landmark_2d_106
    turn = turn_of(flat)
    assert turn.yaw_deg == pytest.approx(degrees, abs=6)
    assert turn.roll_deg == pytest.approx(turn_of(seen.points).roll_deg, abs=0.1)


def test_every_place_of_a_face_has_its_points_in_both_numberings() -> None:
    for layout, count in ((MESH, 478), (POINTS_106, 106)):
        groups = (
            *layout.anchors,
            layout.box,
            *layout.eyes,
            layout.lips,
            (layout.nose_tip,),
            layout.outer_eyes,
        )
        assert all(0 <= index < count for group in groups for index in group)
        assert all(len(group) == len(set(group)) >= 4 for group in (*layout.eyes, layout.lips))


def test_what_aligns_faces_follows_it_where_it_is_switched_on(
    store: ModelStore, package: dict[str, Any]
) -> None:
    with closing(open_aligning_tracker(store.folder, ON)) as chosen:
        assert isinstance(chosen, InsightFaceTracker)
        declare(chosen, report := EngineReport())
    (notice,), (found,) = report.notices, report.trackers
    assert found.name == "insightface" and "non-commercial" in found.licence
    assert notice.code == "face.insightface" and "non-commercial" in notice.message
    for environment in ({}, {"AVATAR_INSIGHTFACE": "off"}, {"AVATAR_INSIGHTFACE": ""}):
        with closing(open_aligning_tracker(store.folder, environment)) as chosen:
            declare(chosen, report := EngineReport())
            assert isinstance(chosen, MediaPipeTracker) and report == EngineReport()
    with pytest.raises(Unavailable) as unclear:
        open_aligning_tracker(store.folder, {"AVATAR_INSIGHTFACE": "yes"})
    assert unclear.value.code == "face.insightface_off"
    with pytest.raises(Unavailable) as missing:
        open_aligning_tracker(store.folder / "elsewhere", ON)
    assert missing.value.code == "weights.missing"


def test_latentsync_follows_its_anchors(
    store: ModelStore, package: dict[str, Any], astronaut: np.ndarray, tracker: FaceTracker
) -> None:
    (seen,) = tracker.track(astronaut)
    moved = seen.shift(12, -7)
    package["faces"] = [to_crop(moved.points)]
    (found,) = InsightFaceTracker(store, environment=ON).track(astronaut)
    theirs, ours = PlacementTracker(256).update(found), PlacementTracker(256).update(moved)
    assert theirs.found and theirs.strength == pytest.approx(ours.strength)
    assert theirs.matrix == pytest.approx(ours.matrix, abs=1e-3)


def test_the_list_of_engines_tells_whose_models_find_faces(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AVATAR_INSIGHTFACE", raising=False)
    print_engines(Namespace(json=False))
    assert "InsightFace" not in capsys.readouterr().out
    monkeypatch.setenv("AVATAR_INSIGHTFACE", "non-commercial")
    print_engines(Namespace(json=False))
    assert "InsightFace models: non-commercial" in capsys.readouterr().out


def test_the_list_for_programs_has_it_where_it_is_switched_on_and_what_it_lacks(
    store: ModelStore,
    package: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def list_engines() -> list[dict[str, Any]]:
        print_engines(Namespace(json=True))
        return [one for one in json.loads(capsys.readouterr().out) if one["role"] == "tracker"]

    monkeypatch.delenv("AVATAR_INSIGHTFACE", raising=False)
    assert list_engines() == []
    monkeypatch.setenv("AVATAR_INSIGHTFACE", "non-commercial")
    monkeypatch.setenv("AVATAR_MODELS", str(store.folder))
    (found,) = list_engines()
    assert (found["engine"], found["available"], found["state"]) == ("insightface", True, "available")
    assert found["licence"] == "InsightFace models: non-commercial"
    (store.folder / "insightface" / "models" / "buffalo_l" / "det_10g.onnx").unlink()
    (lacking,) = list_engines()
    assert (lacking["available"], lacking["state"]) == (False, "weights_missing")
    assert "det_10g.onnx" in lacking["message"]


def test_the_largest_face_is_recognized_by_its_own_model(
    store: ModelStore, package: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.zeros((60, 80, 3), np.uint8)
    with pytest.raises(Unavailable, match=r"w600k_r50\.onnx"):
        FaceRecognizer(store, environment=ON)
    (store.folder / "insightface/models/buffalo_l/w600k_r50.onnx").write_bytes(b"x")
    recognizer = FaceRecognizer(store, environment=ON)
    assert package["modules"] == ["detection", "recognition"]
    assert recognizer.embed(picture) is None
    small, large = face(40, 50), face(100, 120)
    small.normed_embedding, large.normed_embedding = np.eye(512)[:2]
    package["faces"] = [small, large]
    assert np.array_equal(recognizer.embed(picture), np.eye(512, dtype=np.float32)[1])
