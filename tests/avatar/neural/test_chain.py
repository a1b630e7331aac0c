"""From a sentence to a video through LivePortrait and LatentSync, with small random networks on the
processor: only the likeness is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avatar.compose.footage import footage
from avatar.errors import Unavailable
from avatar.face.insightface_adapter import InsightFaceTracker
from avatar.face.landmarks import FaceLandmarks
from avatar.face.tracker import open_tracker
from avatar.pipeline.context import Context
from avatar.pipeline.render import render_video
from avatar.spec import Finished, RenderSpec

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("small_networks")]

from avatar.engines.neural import engine as neural_engine  # noqa: E402

SpecOf = Callable[..., dict[str, Any]]


def render(spec: dict[str, Any], folder: Path, **context: Any) -> Finished:
    context_ = Context(cache=folder / "cache", **context)
    return render_video(RenderSpec.model_validate(spec), folder / "out.mp4", context_)


def frames_of(path: Path, count: int) -> np.ndarray[Any, Any]:
    pictures = footage(path, 25, loop=False, shown=path.name)
    return np.stack([next(pictures) for _ in range(count)]).astype(int)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        ("photo", "liveportrait+latentsync"),
        pytest.param("photo", "liveportrait", marks=pytest.mark.slow),
        ("video", "latentsync"),
        pytest.param("video", "liveportrait", marks=pytest.mark.slow),
    ],
)
def test_a_sentence_becomes_a_video_by_each_engine(
    spec_of: SpecOf, tmp_path: Path, kind: str, engine: str
) -> None:
    done = render(spec_of(kind, engine), tmp_path)
    frames = frames_of(tmp_path / "out.mp4", done.frames)
    assert frames.shape[1:] == (180, 320, 3) and done.frames > 15
    plain = render(spec_of(kind, "mesh" if kind == "photo" else "motion"), tmp_path / "plain")
    without = frames_of(tmp_path / "plain" / "out.mp4", plain.frames)
    assert plain.frames == done.frames
    assert np.abs(frames[:, :, :20] - without[:, :, :20]).mean() < 6, "the same framing, whoever draws"
    assert np.abs(frames - without).max() > 40, "and another face"
    assert [(use.engine, use.asked, use.why_not) for use in done.engines] == [(engine, engine, ())]
    if not torch.cuda.is_available():
        assert "engine.on_processor" in {notice.code for notice in done.warnings}
    record = json.loads((tmp_path / "out.provenance.json").read_text())
    assert set(engine.split("+")) <= {one["name"] for one in record["engines"]}
    assert record["digital_source_type"].endswith("compositeWithTrainedAlgorithmicMedia")


def test_a_video_that_insightface_found_the_face_of_says_so_in_its_provenance(
    spec_of: SpecOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Theirs(InsightFaceTracker):
        """MediaPipe's points under the name of the other: only who is told of matters here."""

        def __init__(self, *_: Any) -> None:
            self._mesh = open_tracker()

        def track(self, image_bgr: Any) -> list[FaceLandmarks]:
            return self._mesh.track(image_bgr)

        def close(self) -> None:
            self._mesh.close()

    monkeypatch.setattr(neural_engine, "open_aligning_tracker", Theirs)
    done = render(spec_of("video", "latentsync", "Mama."), tmp_path)
    assert "face.insightface" in {notice.code for notice in done.warnings}
    record = json.loads((tmp_path / "out.provenance.json").read_text())
    (found,) = [one for one in record["engines"] if one["role"] == "tracker"]
    assert found["name"] == "insightface" and "non-commercial" in found["licence"]


def test_a_person_on_another_background_is_cut_out(spec_of: SpecOf, tmp_path: Path) -> None:
    scene = {"background": {"kind": "colour", "colour": "#ff0000"}}
    done = render(spec_of("video", "latentsync", "Mama.", **scene), tmp_path)
    frames = frames_of(tmp_path / "out.mp4", done.frames)
    assert np.abs(frames[:, 5:25, 5:25] - np.array([0, 0, 255])).mean() < 12, "red beside the person"
    assert np.abs(frames[:, 100:140, 140:180] - np.array([0, 0, 255])).mean() > 60, "the person before it"


@pytest.mark.slow
def test_speech_that_is_longer_than_the_video_goes_back_and_forth(spec_of: SpecOf, tmp_path: Path) -> None:
    done = render(spec_of("video", "latentsync", "One two three four five."), tmp_path)
    assert done.frames > 30, "the video has 25"


def test_a_named_engine_without_its_weights_says_which_file_and_leaves_nothing(
    spec_of: SpecOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVATAR_MODELS", str(tmp_path / "empty"))
    with pytest.raises(Unavailable, match=r"weights\.missing.*latentsync_unet\.pt.*Licence"):
        render(spec_of("video", "latentsync"), tmp_path)
    assert not (tmp_path / "out.mp4").exists()


def test_auto_on_a_machine_without_a_card_draws_as_before_and_says_why(
    spec_of: SpecOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = render(spec_of("photo", "auto", "Mama."), tmp_path)
    (use,) = done.engines
    assert (use.scene, use.engine, use.asked) == ("one", "mesh", "auto")
    assert [reason.partition(":")[0] for reason in use.why_not] == ["liveportrait+latentsync", "liveportrait"]
    assert "no NVIDIA card" in use.why_not[0]
    assert not [notice for notice in done.warnings if notice.code == "engine.fallback"]
