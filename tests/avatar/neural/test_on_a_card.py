"""The chain on a real card, with small random networks: what is held, what is told of it, and the lease."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.torch,
    pytest.mark.usefixtures("small_networks"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA card: `make test-gpu`"),
]

from avatar.engines.card_memory import CONTEXT_MIB, find_card, hold_to_lease  # noqa: E402
from avatar.engines.neural.holder import ModelHolder  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.render import render_video  # noqa: E402
from avatar.pipeline.segment import make_segment  # noqa: E402
from avatar.spec import RenderSpec  # noqa: E402

SpecOf = Callable[..., dict[str, Any]]
CHAIN = "liveportrait+latentsync"


@pytest.fixture
def whole_card() -> Iterator[None]:
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, 0)


def test_both_engines_stay_on_the_card_and_the_most_they_took_is_told(
    spec_of: SpecOf, tmp_path: Path
) -> None:
    holder = ModelHolder()
    spec = RenderSpec.model_validate(spec_of("photo", CHAIN))
    done = render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache", holder=holder))
    assert done.frames > 15
    assert holder.on_card == ("liveportrait", "latentsync")
    assert holder.peak_mib is not None and CONTEXT_MIB < holder.peak_mib < 8000
    assert not [notice for notice in done.warnings if notice.code.startswith("engine.")]


def test_auto_takes_both_engines_where_a_card_and_their_weights_are(spec_of: SpecOf, tmp_path: Path) -> None:
    spec = RenderSpec.model_validate(spec_of("photo", "auto", "Mama."))
    done = render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache"))
    assert [use.engine for use in done.engines] == [CHAIN]


def test_a_segment_that_is_made_again_is_the_same(spec_of: SpecOf, tmp_path: Path) -> None:
    spec = RenderSpec.model_validate(spec_of("photo", CHAIN, "Mama."))
    made = [
        make_segment(spec, "one", tmp_path / name, Context(cache=tmp_path / "cache")).video.read_bytes()
        for name in ("first", "second")
    ]
    assert made[0] == made[1]


def test_torch_refuses_what_goes_beyond_the_lease(monkeypatch: pytest.MonkeyPatch, whole_card: None) -> None:
    monkeypatch.setenv("SOUNDSTAGE_VRAM_MIB", "2048")
    card = find_card()
    assert card is not None and card.budget_mib <= 2048 - CONTEXT_MIB
    hold_to_lease(card)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        torch.empty(2048 << 20, dtype=torch.uint8, device="cuda")
