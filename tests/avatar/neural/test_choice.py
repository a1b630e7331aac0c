"""The engine that draws a face: the named one, or the best that card, weights and memory allow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avatar.engines.card_memory import CONTEXT_MIB, Card, card_is_possible
from avatar.engines.neural.choice import Machine, choose, require_weights, roles_of
from avatar.engines.weights.manifest import weight_file
from avatar.errors import Unavailable
from avatar.spec import MediaRef, PhotoFace, VideoFace

LARGE = Card("A large card", compute=90, total_mib=80_000, free_mib=79_000)
PHOTO = PhotoFace(image=MediaRef(path="a.png"))
VIDEO = VideoFace(video=MediaRef(path="a.mp4"))
BOTH = "liveportrait+latentsync"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder in which a file stands for every checkpoint."""
    for role in roles_of("liveportrait+latentsync"):
        path = tmp_path / weight_file(role).path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"numbers")
    return tmp_path


@pytest.fixture
def machine(weights: Path) -> Callable[..., Machine]:
    def make(card: Any = LARGE, **more: Any) -> Machine:
        answers: dict[str, Any] = {"driver": lambda: True, "installed": lambda: True}
        answers["card"] = card if callable(card) else lambda: card
        return Machine(models=weights, **answers | more)

    return make


@pytest.mark.parametrize(("face", "best"), [(PHOTO, BOTH), (VIDEO, "latentsync")])
def test_auto_takes_the_best_where_nothing_is_in_the_way(
    machine: Callable[..., Machine], face: PhotoFace | VideoFace, best: str
) -> None:
    chosen = choose(face, machine())
    assert (chosen.engine, chosen.asked, chosen.why_not) == (best, "auto", ())


@pytest.mark.parametrize(
    ("more", "near", "message"),
    [
        ({"driver": lambda: False}, False, "no NVIDIA card"),
        (
            {"installed": lambda: False},
            True,
            "PyTorch is not installed. Install the worker's extra `gpu`, in",
        ),
        ({"card": None}, False, "PyTorch sees no card"),
        ({"card": Card("An old card", 61, 8000, 7900)}, True, "compute capability 6.1, 7.5 is needed"),
        ({"card": Card("A busy card", 86, 8000, 1500)}, True, "needs 3400 MiB of the card, and 1500 of 8000"),
    ],
)
def test_what_is_in_the_way_is_said_and_the_engine_without_networks_draws(
    machine: Callable[..., Machine], more: dict[str, Any], near: bool, message: str
) -> None:
    chosen = choose(VIDEO, machine(**more))
    assert (chosen.engine, chosen.near) == ("motion", near)
    assert message in chosen.why_not[0] and chosen.why_not[0].startswith("latentsync: ")


def test_a_missing_file_rules_out_only_the_engines_that_need_it(
    machine: Callable[..., Machine], weights: Path
) -> None:
    (weights / weight_file("latentsync.unet").path).unlink()
    chosen = choose(PHOTO, machine())
    assert chosen.engine == "liveportrait"
    (reason,) = chosen.why_not
    assert reason.startswith(f"{BOTH}: ") and "latentsync.unet" in reason and "Licence" in reason


def test_a_card_is_not_looked_for_before_the_weights_are_there(
    machine: Callable[..., Machine], tmp_path: Path
) -> None:
    def card() -> Card:
        raise AssertionError("to find a card takes seconds")

    machine_without = Machine(tmp_path / "none", lambda: True, lambda: True, card)
    assert choose(VIDEO, machine_without).engine == "motion"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA."),
            "CUDA error: out of memory",
        ),
        (ImportError("libcudart.so.13: cannot open shared object file"), "libcudart.so.13: cannot open"),
        (OSError("libnccl.so.2: undefined symbol"), "libnccl.so.2"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_card_that_cannot_be_opened_is_as_none_and_is_told(
    machine: Callable[..., Machine], error: Exception, message: str
) -> None:
    def raise_error() -> Card:
        raise error

    chosen = choose(PHOTO, machine(card=raise_error))
    assert (chosen.engine, chosen.near) == ("mesh", True), "people could have had more"
    assert f"{BOTH}: the card cannot be opened: {message}" in chosen.why_not[0]
    assert "Compile" not in chosen.why_not[0]
    assert machine(card=raise_error).finding("latentsync").state == "no_card"


def test_a_lease_bounds_what_may_be_had_of_a_large_card(machine: Callable[..., Machine]) -> None:
    leased = Card("A shared card", 90, 80_000, 60_000, lease_mib=3584)
    assert leased.budget_mib == 3584 - CONTEXT_MIB
    chosen = choose(PHOTO, machine(leased))
    assert chosen.engine == "liveportrait"
    assert "3072 of 80000 MiB can be had, of which 3584 are ours" in chosen.why_not[0]
    assert choose(PHOTO, machine(Card("A shared card", 90, 80_000, 60_000, lease_mib=5120))).engine == BOTH


def test_a_card_of_8_gb_beside_a_speech_service_of_4_is_enough(machine: Callable[..., Machine]) -> None:
    beside = Card("A small card", 75, 8192, 8192 - 4096 - 450)
    assert choose(VIDEO, machine(beside)).engine == "latentsync"
    assert choose(PHOTO, machine(beside)).engine == BOTH


def test_a_named_engine_is_taken_whatever_the_machine_lacks(machine: Callable[..., Machine]) -> None:
    named = VIDEO.model_copy(update={"engine": "latentsync"})
    assert choose(named, machine(None)).engine == "latentsync"
    assert choose(VIDEO.model_copy(update={"engine": "motion"}), machine()).engine == "motion"


def test_the_first_missing_file_is_an_error_that_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"weights\.missing.*appearance_feature_extractor.*Licence"):
        require_weights("liveportrait+latentsync", tmp_path)


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_cards_are_none(hidden: str) -> None:
    assert not card_is_possible({"CUDA_VISIBLE_DEVICES": hidden})
