"""`bench/landmarks.py`: the difference of both detectors, on points whose difference is known."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from avatar.face.landmarks import FaceLandmarks
from avatar.face.tracker import FaceTracker
from insightface_double import install, to_crop


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = Path(__file__).parents[3] / "bench" / "landmarks.py"
    spec = importlib.util.spec_from_file_location("bench_landmarks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_landmarks", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def models(tmp_path: Path) -> Path:
    pack = tmp_path / "models" / "insightface" / "models" / "buffalo_l"
    pack.mkdir(parents=True)
    for name in ("det_10g.onnx", "2d106det.onnx"):
        (pack / name).write_bytes(b"x")
    return tmp_path / "models"


def test_a_known_shift_is_measured(program: ModuleType, astronaut: np.ndarray, tracker: FaceTracker) -> None:
    (face,) = tracker.track(astronaut)
    same = program.Difference.of(face, face)
    assert (same.brows, same.nose, same.side, same.centre, same.turn_deg) == pytest.approx((0,) * 5)
    assert same.corners_px == pytest.approx(0, abs=1e-6)
    shift = 0.1 * face.eye_distance_px
    moved = program.Difference.of(face, face.shift(shift, 0))
    assert (moved.brows, moved.nose) == pytest.approx((0.1, 0.1), abs=1e-4)
    assert moved.corners_px > 5 and moved.side == pytest.approx(0, abs=1e-4)
    larger = program.Difference.of(face, FaceLandmarks(face.points * np.float32(1.05), 1.0))
    assert larger.side == pytest.approx(0.05, abs=1e-4)


def test_an_operators_pictures_are_compared(
    program: ModuleType,
    models: Path,
    astronaut: np.ndarray,
    tracker: FaceTracker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, picture in (("a.png", astronaut), ("wall.png", np.full((200, 200, 3), 90, np.uint8))):
        cv2.imwrite(str(tmp_path / name), picture)
    arguments = [str(tmp_path / "a.png"), str(tmp_path / "wall.png"), "--models", str(models)]
    assert program.main(arguments) == 0
    assert "not measured" in capsys.readouterr().out
    package = install(monkeypatch)
    package["faces"] = lambda image: [to_crop(one.shift(2, 0).points) for one in tracker.track(image)]
    monkeypatch.setenv("AVATAR_INSIGHTFACE", "non-commercial")
    assert program.main(arguments) == 0
    output = capsys.readouterr().out
    assert "no face that both found: wall.png" in output and "median of 1" in output
    (line,) = [line for line in output.splitlines() if line.endswith("a.png")]
    (face,) = tracker.track(astronaut)
    assert float(line.split("%")[0]) == pytest.approx(100 * 2 / face.eye_distance_px, abs=0.1)
    assert program.main([*arguments[:2], "--models", str(tmp_path / "none")]) == 1
    assert "weights.missing" in capsys.readouterr().out
