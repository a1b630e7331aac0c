"""The mode in which an engine uses a card: one place decides it, for every engine."""

from __future__ import annotations

import pytest
from avatar.engines.card_memory import CONTEXT_MIB, Card
from avatar.engines.card_mode import MOUTH, PORTRAIT, SHARES, Share, choose_mode, min_mib, share_of

CHAIN = "liveportrait+latentsync"


def card(free_mib: int, **more: int) -> Card:
    return Card("A card", compute=86, total_mib=48_000, free_mib=free_mib, **more)


@pytest.mark.parametrize("engine", [MOUTH, CHAIN])
@pytest.mark.parametrize(
    ("free_mib", "mode"),
    [(3399, "low"), (3400, "low"), (6499, "low"), (6500, "middle"), (7700, "middle"), (12_000, "full")],
)
def test_the_largest_mode_that_fits_is_taken(engine: str, free_mib: int, mode: str) -> None:
    assert choose_mode(engine, card(free_mib)) == mode  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("free_mib", "mode"), [(2048, "low"), (4095, "low"), (4096, "full"), (40_000, "full")]
)
def test_liveportrait_alone_needs_less(free_mib: int, mode: str) -> None:
    assert choose_mode("liveportrait", card(free_mib)) == mode


def test_what_we_hold_already_counts_and_what_is_beyond_the_lease_does_not() -> None:
    assert choose_mode("latentsync", card(4000, ours_mib=3000)) == "middle"
    assert choose_mode("latentsync", card(40_000, lease_mib=6500 + CONTEXT_MIB)) == "middle"
    assert choose_mode("latentsync", card(40_000, lease_mib=6499 + CONTEXT_MIB)) == "low"


def test_who_asks_for_a_mode_gets_it_and_the_processor_has_room_for_all() -> None:
    assert choose_mode("latentsync", card(40_000), "low") == "low"
    assert choose_mode("latentsync", None) == "full"


@pytest.mark.parametrize(
    ("free_mib", "mode"), [(6799, "low"), (12_999, "low"), (13_000, "middle"), (24_000, "full")]
)
def test_numbers_of_twice_the_width_need_twice_the_memory(free_mib: int, mode: str) -> None:
    assert choose_mode(MOUTH, card(free_mib), wide=True) == mode
    usual = share_of(MOUTH, "middle")
    assert share_of(MOUTH, "middle", wide=True) == Share(13_000, 2 * usual.weights_mib, 2 * usual.working_mib)


def test_both_in_turn_need_no_more_than_the_larger_one() -> None:
    assert min_mib("liveportrait+latentsync") == min_mib("latentsync") > min_mib("liveportrait")
    for mode in ("low", "middle", "full"):
        alone = share_of(PORTRAIT, mode)  # type: ignore[arg-type]
        assert alone.weights_mib + alone.working_mib <= SHARES[MOUTH][mode].from_mib  # type: ignore[index]
