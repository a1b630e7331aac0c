"""Networks whose values are no numbers: nothing of it is shown or kept, and people are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from synthetic_speaker import Clips

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines import precision  # noqa: E402
from avatar.engines.latentsync.sampler import Sampler  # noqa: E402
from avatar.engines.precision import require_finite  # noqa: E402
from avatar.errors import Unavailable  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.lipsync.latentsync import MouthOptions, lipsync_by_networks  # noqa: E402
from test_engine import job, run  # noqa: E402


@pytest.mark.parametrize(
    ("numbers", "hint"), [("float16", "--precision fp32"), ("float32", "avatar models verify")]
)
def test_values_that_are_no_numbers_are_counted_and_the_hint_fits_what_was_computed_in(
    numbers: str, hint: str
) -> None:
    tensor = torch.zeros(4, 5, dtype=getattr(torch, numbers))
    require_finite(tensor, "latentsync")
    tensor[1, 2], tensor[3, 0] = torch.nan, -torch.inf
    with pytest.raises(Unavailable, match=r"gpu\.not_finite") as error:
        require_finite(tensor, "latentsync")
    assert error.value.message == f"2 of 20 values that latentsync computed in {numbers} are no numbers."
    assert hint in error.value.hint


@pytest.mark.parametrize("broken", ["unet", "vae"])
def test_a_network_that_makes_no_numbers_is_an_error_and_no_black_mouth(
    clips: Clips, small_engine: Callable[..., Any], broken: str
) -> None:
    """As cards do whose half-wide numbers run over: one weight is beyond all of them."""
    tensor, engine = clips.folder / "made", small_engine(steps=1, length=8, overlap=2)
    tensor.mkdir()
    spec, context = job(clips.video(12), clips.sound(0.48)), Context(cache=clips.folder / "cache")
    weight = (
        engine._networks.unet.conv_out.weight
        if broken == "unet"
        else engine._networks.vae.decoder.conv_out.weight
    )
    usual = weight.detach().clone()
    with torch.no_grad():
        weight[0, 0, 0, 0] = torch.inf
    try:
        with pytest.raises(Unavailable, match=r"gpu\.not_finite: \d+ of \d+ values that latentsync computed"):
            run(spec, tensor / "out.mp4", engine, context)
    finally:
        with torch.no_grad():
            weight.copy_(usual)
    assert not list(tensor.iterdir())
    resume_folder = context.cache / "unfinished"
    assert len(list(resume_folder.iterdir()) if resume_folder.exists() else []) == (
        0 if broken == "unet" else 1
    )
    assert run(spec, tensor / "out.mp4", engine, context).frames == 12


def test_numbers_that_run_over_are_tried_once_more_in_fp32_and_only_where_nobody_named_them(
    clips: Clips, small_engine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        precision, "dtype_of", lambda named, _: torch.float32 if named == "fp32" else torch.float16
    )
    tried, denoise = list[str](), Sampler.denoise

    def open_engine(options: MouthOptions) -> Any:
        tried.append(options.precision)
        broken = lambda *_: torch.full((1, 6, 4, 8, 8), torch.nan)  # noqa: E731
        monkeypatch.setattr(Sampler, "denoise", denoise if options.precision == "fp32" else broken)
        return small_engine(steps=1)

    error: list[Any] = []
    spec, context = (
        job(clips.video(6), clips.sound(0.24)),
        Context(cache=clips.folder / "cache", tell=error.append),
    )
    assert (
        lipsync_by_networks(spec, clips.folder / "out.mp4", context, MouthOptions(), open_engine).frames == 6
    )
    (notice,) = (line for line in error if getattr(line, "code", "") == "gpu.not_finite")
    assert notice.message.endswith("are no numbers. Starting again in fp32.")
    with pytest.raises(Unavailable, match=r"gpu\.not_finite"):
        lipsync_by_networks(
            spec, clips.folder / "b.mp4", context, MouthOptions(precision="fp16"), open_engine
        )
    assert tried == ["auto", "fp32", "fp16"]
