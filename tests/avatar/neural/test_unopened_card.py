"""A card that is there and cannot be opened: an error that says so, for whoever names an engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines.card import answering_card, hold_card, open_card  # noqa: E402
from avatar.engines.card_memory import find_card  # noqa: E402
from avatar.engines.neural.choice import Machine  # noqa: E402
from avatar.errors import Unavailable  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.segment import make_segment  # noqa: E402
from avatar.spec import RenderSpec  # noqa: E402

SpecOf = Callable[..., dict[str, Any]]
LATE = torch.cuda.DeferredCudaCallError(
    "CUDA call failed lazily at initialization with error: no kernel image is available\n\nCUDA call was …"
)
TAKEN = RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable\nCompile with …")
UNKNOWN = RuntimeError("CUDA unknown error - this may be due to an incorrectly set up environment, e.g. …")
FULL = RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported")
CASES = [
    (LATE, r"gpu\.not_opened: The card cannot be opened: .*no kernel image.*nvidia-smi"),
    (TAKEN, r"gpu\.not_opened: .*busy or unavailable.*keep the card to itself"),
    (UNKNOWN, r"gpu\.not_opened: .*CUDA unknown error"),
    (FULL, r"gpu\.out_of_memory: .*needed more.*a larger one"),
]


@pytest.fixture
def break_card(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Torch finds a card, and every question about it fails."""

    def make(error: Exception) -> None:
        def fails(*_: Any) -> Any:
            raise error

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        for question in ("get_device_capability", "mem_get_info", "get_device_name"):
            monkeypatch.setattr(torch.cuda, question, fails)

    return make


@pytest.mark.parametrize(("error", "message"), CASES)
def test_whoever_opens_it_gets_an_error_with_code_sentence_and_hint(
    break_card: Callable[[Exception], None], error: Exception, message: str
) -> None:
    break_card(error)
    with pytest.raises(Unavailable, match=message) as raised_error:
        open_card("latentsync")
    assert raised_error.value.hint
    with pytest.raises(Unavailable, match=message), hold_card("liveportrait", low=True):
        pass


def test_a_card_that_torch_has_no_kernels_for_is_called_too_old_and_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "GTX 1080")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (6, 1))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (8 << 30, 8 << 30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda *_: 0)
    built = ["sm_75", "sm_90a", "compute_120"]
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built)
    with pytest.raises(Unavailable, match=r"gpu\.too_old: GTX 1080 is of compute capability 6\.1.* 7\.5 and"):
        open_card("latentsync")
    built.insert(0, "sm_61")
    card = open_card("latentsync")
    assert card is not None and card.compute == 61


@pytest.mark.parametrize(("error", "message"), CASES[:1] + CASES[-1:])
@pytest.mark.usefixtures("small_networks")
def test_a_scene_that_names_its_engine_ends_with_that_error_and_leaves_nothing(
    break_card: Callable[[Exception], None], spec_of: SpecOf, tmp_path: Path, error: Exception, message: str
) -> None:
    spec = RenderSpec.model_validate(spec_of("video", "latentsync", "Mama."))
    break_card(error)
    with pytest.raises(Unavailable, match=message):
        make_segment(spec, "one", tmp_path / "made", Context(cache=tmp_path / "cache"))
    assert not (tmp_path / "made").exists()


def test_auto_draws_without_it(break_card: Callable[[Exception], None], checkpoints: Path) -> None:
    break_card(LATE)
    found = Machine(checkpoints, lambda: True, lambda: True, find_card).finding("latentsync")
    assert found.state == "no_card" and "no kernel image is available" in found.sentence


def test_what_torch_says_too_late_is_a_lost_card() -> None:
    with pytest.raises(Unavailable, match=r"gpu\.lost"), answering_card():
        raise LATE
