"""Cards are found by numbers, and one driver is chosen for all of a machine."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pci_cards import Decision, decide, find_cards, find_lost_cards, generation_of
from sysfs_machine import (
    A100,
    AMD,
    BMC_VGA,
    FROM_THE_FUTURE,
    GTX_1080,
    H200,
    L4,
    NETWORK,
    RTX_2080_SUPER,
    RTX_5090,
    T4,
    TESLA_K80,
    V100,
    Device,
    build,
    card,
    sound_of,
)

ROLE = Path(__file__).resolve().parents[2] / "ansible" / "roles" / "gpu"
GENERATIONS: list[dict[str, Any]] = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())[
    "gpu__generations"
]
DEBIAN, CUDA_REPO = 550, 580


def decision(root: Path, *devices: Device, branch: int = DEBIAN, requested: str = "auto") -> Decision:
    cards, _ = find_cards(str(build(root, *devices)), GENERATIONS)
    return decide(cards, GENERATIONS, branch, requested)


def test_a_machine_without_cards_has_none_and_needs_no_driver(tmp_path: Path) -> None:
    cards, displays = find_cards(str(build(tmp_path, NETWORK)), GENERATIONS)
    assert (cards, displays, decide(cards, GENERATIONS, DEBIAN).flavour) == ([], [], "none")


def test_a_machine_without_a_pci_bus_has_no_cards(tmp_path: Path) -> None:
    assert find_cards(str(tmp_path), GENERATIONS) == ([], [])


def test_the_vga_of_a_bmc_is_a_display_and_no_card(tmp_path: Path) -> None:
    cards, displays = find_cards(str(build(tmp_path, BMC_VGA, NETWORK)), GENERATIONS)
    assert (cards, displays) == ([], [BMC_VGA.address])


def test_the_sound_function_of_a_card_is_no_second_card(tmp_path: Path) -> None:
    cards, _ = find_cards(str(build(tmp_path, card(0, L4), sound_of(0))), GENERATIONS)
    assert [one.address for one in cards] == ["0000:10:00.0"]


def test_eight_cards_are_eight_in_the_order_of_their_addresses(tmp_path: Path) -> None:
    devices = [card(number, H200) for number in reversed(range(8))]
    cards, _ = find_cards(str(build(tmp_path, *devices)), GENERATIONS)
    assert [one.address for one in cards] == [f"0000:{0x10 + number:02x}:00.0" for number in range(8)]
    assert {one.generation for one in cards} == {"hopper"}


def test_of_mixed_vendors_each_card_keeps_its_own(tmp_path: Path) -> None:
    instinct = Device("0000:41:00.0", AMD, 0x74A1, 0x120000, "amdgpu")
    cards, displays = find_cards(str(build(tmp_path, card(0, A100), instinct, BMC_VGA)), GENERATIONS)
    assert [(one.vendor, one.generation) for one in cards] == [("nvidia", "ampere"), ("amd", "")]
    assert displays == [BMC_VGA.address]
    assert decide(cards, GENERATIONS, DEBIAN) == Decision("open")


def test_the_driver_that_holds_a_card_is_named(tmp_path: Path) -> None:
    cards, _ = find_cards(
        str(build(tmp_path, card(0, T4, driver="nouveau"), card(1, T4, driver=""))), GENERATIONS
    )
    assert [one.driver for one in cards] == ["nouveau", ""]


@pytest.mark.parametrize("device", [RTX_2080_SUPER, T4, A100, L4, H200])
def test_turing_and_newer_get_the_open_modules_of_debian(tmp_path: Path, device: int) -> None:
    assert decision(tmp_path, card(0, device)) == Decision("open")


@pytest.mark.parametrize("device", [GTX_1080, V100])
def test_pascal_and_volta_get_the_proprietary_modules(tmp_path: Path, device: int) -> None:
    assert decision(tmp_path, card(0, device)) == Decision("proprietary")


def test_a_pascal_card_beside_a_turing_one_takes_both_to_the_proprietary_modules(tmp_path: Path) -> None:
    assert decision(tmp_path, card(0, GTX_1080), card(1, T4)) == Decision("proprietary")


def test_blackwell_is_too_new_for_debians_driver_and_the_hint_says_where_to_get_one(tmp_path: Path) -> None:
    refused = decision(tmp_path, card(0, RTX_5090))
    assert refused.flavour == "none"
    assert refused.problems[0].code == "gpu.branch_too_old"
    assert "0000:10:00.0 (0x2b85, blackwell) needs driver 570" in refused.problems[0].message
    assert "cuda_repo" in refused.problems[0].hint
    cards, _ = find_cards(str(tmp_path), GENERATIONS)
    assert decide(cards, GENERATIONS, CUDA_REPO) == Decision("open")


def test_kepler_is_legacy_and_the_hint_names_its_last_driver(tmp_path: Path) -> None:
    refused = decision(tmp_path, card(0, TESLA_K80))
    assert refused.flavour == "legacy"
    assert refused.problems[0].code == "gpu.branch_too_new"
    assert "driver 470" in refused.problems[0].hint


def test_pascal_and_blackwell_cannot_share_a_machine(tmp_path: Path) -> None:
    refused = decision(tmp_path, card(0, GTX_1080), card(1, RTX_5090), branch=CUDA_REPO)
    assert [problem.code for problem in refused.problems] == ["gpu.mixed_generations"]
    assert "0000:10:00.0 (pascal), 0000:11:00.0 (blackwell)" in refused.problems[0].message


def test_a_wish_is_taken_when_every_card_can_live_with_it(tmp_path: Path) -> None:
    assert decision(tmp_path, card(0, T4), requested="proprietary") == Decision("proprietary")


def test_a_wish_that_a_card_cannot_live_with_is_refused(tmp_path: Path) -> None:
    refused = decision(tmp_path, card(0, T4), card(1, GTX_1080), requested="open")
    assert [problem.code for problem in refused.problems] == ["gpu.flavour_impossible"]


def test_a_card_newer_than_the_table_gets_the_open_modules(tmp_path: Path) -> None:
    assert decision(tmp_path, card(0, FROM_THE_FUTURE), branch=CUDA_REPO) == Decision("open")


def test_a_card_that_was_here_and_is_gone_is_named(tmp_path: Path) -> None:
    state = tmp_path / "gpu.json"
    cards, _ = find_cards(str(build(tmp_path / "sys", card(0, L4))), GENERATIONS)
    assert find_lost_cards(cards, str(state)) == []  # the first run has nothing to compare with
    state.write_text(json.dumps({"addresses": ["0000:10:00.0", "0000:11:00.0"]}))
    assert find_lost_cards(cards, str(state)) == ["0000:11:00.0"]


CHIPS_OF = {
    "kepler": "GK",
    "maxwell": "GM",
    "pascal": "GP",
    "volta": "GV",
    "turing": "TU",
    "ampere": "GA",
    "hopper": "GH",
    "ada": "AD",
    "blackwell": "GB",
}


def test_the_table_agrees_with_every_chip_of_the_pci_id_database() -> None:
    by_prefix = {prefix: name for name, prefix in CHIPS_OF.items()}
    wrong = []
    for line in (Path(__file__).parent / "nvidia_chips.txt").read_text().splitlines():
        chip, *ids = line.split()
        wrong += [
            (chip, one) for one in ids if generation_of(int(one, 16), GENERATIONS) != by_prefix[chip[:2]]
        ]
    assert wrong == []


def test_no_device_id_belongs_to_two_generations() -> None:
    ranges = sorted(
        (first, last, generation["name"])
        for generation in GENERATIONS
        for first, last in generation["device_ids"]
    )
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ranges))
