"""A scene on a card whose fp16 runs over: drawn again in fp32, as are those that follow in its process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("small_networks")]

from avatar.engines.neural import models  # noqa: E402
from avatar.engines.neural.holder import ModelHolder  # noqa: E402
from avatar.errors import Unavailable  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.scene_renderer import SceneRenderer  # noqa: E402
from avatar.pipeline.segment import SegmentFiles, make_segment  # noqa: E402
from avatar.spec import RenderSpec  # noqa: E402


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The numbers that networks were loaded in; in all but fp32 a weight is beyond them."""
    seen: list[str] = []
    load = models.load_mouth

    def load_model(folder: Path, mode: Any, precision: str = "auto") -> Any:
        seen.append(precision)
        model = load(folder, mode, precision)
        if precision != "fp32":
            with torch.no_grad():
                model.networks.unet.conv_out.weight[0, 0, 0, 0] = torch.inf
        return model

    monkeypatch.setattr(models, "load_mouth", load_model)
    return seen


@pytest.fixture
def segment(spec_of: Callable[..., Any], tmp_path: Path) -> Callable[..., SegmentFiles]:
    spec = RenderSpec.model_validate(spec_of("video", "latentsync", "Mama."))

    def make(name: str, holder: ModelHolder) -> SegmentFiles:
        return make_segment(spec, "one", tmp_path / name, Context(cache=tmp_path / "cache", holder=holder))

    return make


def test_it_is_drawn_again_in_fp32_which_the_process_stays_with(
    segment: Callable[..., SegmentFiles], loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SceneRenderer, "on_processor", False)
    holder = ModelHolder(lambda: None)
    first = segment("first", holder)
    (notice,) = (one for one in first.record.warnings if one.code == "gpu.not_finite")
    assert notice.message.endswith("are no numbers. Starting again in fp32.")
    again = segment("second", holder)
    assert loads == ["auto", "fp32"]
    assert not [one for one in again.record.warnings if one.code == "gpu.not_finite"]
    assert again.video.read_bytes() == first.video.read_bytes()


def test_on_the_processor_it_is_fp32_already_and_an_error(
    segment: Callable[..., SegmentFiles], loads: list[str], tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match=r"gpu\.not_finite.*avatar models verify"):
        segment("made", ModelHolder(lambda: None))
    assert loads == ["auto"] and not (tmp_path / "made").exists()
