"""`avatar reenact` where an operator has switched InsightFace on: its points place and measure faces."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from avatar.errors import Unavailable
from avatar.face import tracker as tracker_module
from avatar.face.tracker import open_tracker
from avatar.pipeline.context import Context
from avatar.pipeline.reenact.video import ReenactJob, ReenactOptions, reenact
from avatar.spec import Consent, Finished
from clipmaker import Clip

sys.path.insert(0, str(Path(__file__).parents[1] / "face"))

from insightface_double import install, to_crop

if TYPE_CHECKING:
    from avatar.engines.liveportrait.animator import Animator

pytestmark = pytest.mark.torch

AGREED = Consent(id="c1", person="A. Person", granted_at="2026-01-31", purpose="tests")


def reenact_once(animator: Animator, models: Path, source: Path, driving: Path, out: Path) -> Finished:
    job = ReenactJob(source=source, driving=driving, consent=AGREED, options=ReenactOptions(models=models))
    return reenact(job, out, Context(cache=out.parent / "cache"), lambda _: animator)


def test_its_points_take_the_place_of_mediapipes_and_the_result_tells_its_licence(
    animator: Animator, portrait: Path, driving: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = install(monkeypatch)
    models = tmp_path / "models"
    pack = models / "insightface" / "models" / "buffalo_l"
    pack.mkdir(parents=True)
    for name in ("det_10g.onnx", "2d106det.onnx"):
        (pack / name).write_bytes(b"x")
    sizes: list[tuple[int, ...]] = []
    monkeypatch.setenv("AVATAR_INSIGHTFACE", "non-commercial")
    with closing(open_tracker()) as mesh:

        def get(image: np.ndarray) -> list[Any]:
            sizes.append(image.shape)
            return [to_crop(one.points) for one in mesh.track(image)]

        package["faces"] = get
        monkeypatch.setattr(tracker_module, "open_tracker", None)
        done = reenact_once(animator, models, portrait, driving.path, tmp_path / "out.mp4")
    first = sizes.index((480, 854, 3))
    assert first > 1, "the photo is looked at too, in all its orientations"
    assert done.frames == len(sizes[first:]) == 25, "the first frame whole, then what is around the face"
    (licence_notice,) = [notice for notice in done.warnings if notice.code == "face.insightface"]
    assert "non-commercial" in licence_notice.message
    record = json.loads((tmp_path / "out.provenance.json").read_text())
    (found,) = [engine for engine in record["engines"] if engine["role"] == "tracker"]
    assert (found["name"], found["version"]) == ("insightface", "buffalo_l")
    assert "non-commercial" in found["licence"]


def test_without_its_models_nothing_is_made_and_nothing_else_is_used_in_their_place(
    animator: Animator, portrait: Path, driving: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    monkeypatch.setenv("AVATAR_INSIGHTFACE", "non-commercial")
    out = tmp_path / "out.mp4"
    with pytest.raises(Unavailable, match=r"det_10g\.onnx") as refused:
        reenact_once(animator, tmp_path / "none", portrait, driving.path, out)
    assert refused.value.code == "weights.missing" and not out.exists()
