"""Golden frames: one prepared portrait gives one picture on every machine, without a face tracker."""

import json
import subprocess
import sys
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from avatar.engines.mesh import PhotoEngine
from golden_poses import FIXTURES, POSES, SIZE, frame

_RENDER = """
import json, sys
sys.modules["mediapipe"] = None
from pathlib import Path
from avatar.engines.registry import open_engine
from avatar.spec import MediaRef, PhotoFace
from avatar.tracks import CHANNELS
image, portrait, cache = sys.argv[1:]
face = PhotoFace(image=MediaRef(path=image), portrait=MediaRef(path=portrait))
engine = open_engine(face, (320, 180), 25, resolve=lambda ref: Path(ref.path), cache=Path(cache), alpha=False)
layer = engine.draw(dict.fromkeys(CHANNELS, 0.0) | {"jaw": 0.6})
print(json.dumps({"pixels": int(layer.pixels.size), "names": [n for n in sys.modules if "mediapipe" in n]}))
"""


@pytest.mark.parametrize("name", POSES)
def test_a_prepared_portrait_gives_the_golden_frame(
    name: str, open_drawn: Callable[..., PhotoEngine]
) -> None:
    golden = cv2.imread(str(FIXTURES / f"golden_{name}.png"))
    difference = np.abs(frame(open_drawn(size=SIZE), POSES[name]).astype(int) - golden)
    # Other processors round differently in the last bit; a field that moved shows as whole edges.
    assert difference.mean() < 0.3 and np.percentile(difference, 99.9) <= 6


def test_rendering_a_prepared_portrait_needs_no_mediapipe(tmp_path) -> None:
    command = [sys.executable, "-c", _RENDER, FIXTURES / "drawn.png", FIXTURES / "drawn.json", tmp_path]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["pixels"] > 0 and seen["names"] == ["mediapipe"]
