"""The chain where a card may be, with small random networks: what is held, what is told, and the lease."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("small_networks")]

from avatar.engines.card_memory import CONTEXT_MIB, find_card, hold_to_lease  # noqa: E402
from avatar.engines.neural.holder import ModelHolder, card_budget  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.render import render_video  # noqa: E402
from avatar.spec import RenderSpec  # noqa: E402

SpecOf = Callable[..., dict[str, Any]]
CHAIN = "liveportrait+latentsync"
MAX_MIB = 8000


@pytest.mark.usefixtures("larger_mode")
def test_both_engines_stay_where_they_work_and_what_they_took_of_a_card_is_told(
    spec_of: SpecOf, device: str, tmp_path: Path
) -> None:
    holder = ModelHolder()
    spec = RenderSpec.model_validate(spec_of("photo", CHAIN, "Mama."))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    done = render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache", holder=holder))
    assert done.frames > 8
    assert holder.on_card == ("liveportrait", "latentsync")
    assert done.peak_vram_mib == holder.peak_mib
    [use] = done.engines
    codes = {notice.code for notice in done.warnings if notice.code.startswith("engine.")}
    if device == "cuda":
        assert holder.peak_mib is not None and CONTEXT_MIB < holder.peak_mib < MAX_MIB
        assert use.mode in ("middle", "full", "large") and not codes
    else:
        assert (holder.peak_mib, use.mode, codes) == (None, "", {"engine.on_processor"})


def test_auto_takes_both_engines_where_a_card_and_their_weights_are(
    spec_of: SpecOf, device: str, tmp_path: Path
) -> None:
    spec = RenderSpec.model_validate(spec_of("photo", "auto", "Mama."))
    done = render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache"))
    [use] = done.engines
    assert use.engine == (CHAIN if device == "cuda" else "mesh")
    assert bool(use.why_not) == (device == "cpu")


def test_torch_refuses_what_goes_beyond_the_lease(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSTAGE_VRAM_MIB", "2048")
    card = find_card()
    if device == "cpu":
        assert card is None and card_budget() is None, "a lease is of a card"
        return
    assert card is not None and card.budget_mib <= 2048 - CONTEXT_MIB
    hold_to_lease(card)
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(2048 << 20, dtype=torch.uint8, device="cuda")
