"""The golden frame of a node's check: made by this worker, and missed when the frame is another."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

FILES = Path(__file__).resolve().parents[2] / "ansible" / "roles" / "worker" / "files"
AVATAR = Path(sys.executable).parent / "avatar"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_frame", FILES / "golden_frame.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def problems(avatar: Path, golden: Path) -> list[str]:
    command = [sys.executable, FILES / "golden_frame.py", avatar, golden]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    return [json.loads(line)["code"] for line in done.stdout.splitlines()]


@pytest.mark.smoke
def test_the_worker_makes_the_golden_frame() -> None:
    assert problems(AVATAR, FILES / "golden") == []


def test_another_frame_is_found(tmp_path: Path) -> None:
    golden = shutil.copytree(FILES / "golden", tmp_path / "golden")
    spec = json.loads((golden / "spec.json").read_text())
    spec["scenes"][0]["face"]["character"] = "milo"
    (golden / "spec.json").write_text(json.dumps(spec))
    assert problems(AVATAR, golden) == ["worker.frame_differs"]


def test_a_frame_of_another_size_is_found(tmp_path: Path) -> None:
    golden = shutil.copytree(FILES / "golden", tmp_path / "golden")
    spec = json.loads((golden / "spec.json").read_text())
    spec["canvas"]["width"] = 640
    (golden / "spec.json").write_text(json.dumps(spec))
    assert problems(AVATAR, golden) == ["worker.frame_shape"]


def test_a_worker_that_breaks_is_told_in_its_own_words(tmp_path: Path) -> None:
    broken = tmp_path / "avatar"
    broken.write_text("#!/bin/sh\necho ModuleNotFoundError: No module named skia >&2\nexit 1\n")
    broken.chmod(0o755)
    assert problems(broken, FILES / "golden") == ["worker.broken"]


def test_the_likeness_is_that_of_the_reference_implementation(check: ModuleType) -> None:
    picture = cv2.imread(str(FILES / "golden" / "frame.png"))
    assert picture is not None
    noise = np.random.default_rng(7).normal(0, 12, picture.shape)
    spoilt = np.clip(picture + noise, 0, 255).astype(np.uint8)
    reference = structural_similarity(
        picture, spoilt, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert check.ssim(picture, picture) == pytest.approx(1.0)
    assert check.ssim(picture, spoilt) == pytest.approx(reference, abs=0.002)
