# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a machine's cards from sysfs and decides on the NVIDIA driver; the module gpu_cards calls it.

Only numbers are looked at: the PCI class and the vendor and device ids. Texts (`lspci`) lie: "compatible"
holds "ati". Nothing of Ansible is imported here, so that the decision can be tested by itself.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NVIDIA = 0x10DE
AMD = 0x1002
VENDORS = {NVIDIA: "nvidia", AMD: "amd", 0x8086: "intel"}

# https://pci-ids.ucw.cz/read/PD/: 03 is display (00 VGA, 02 3D, 80 other), 1200 is a processing accelerator.
VGA, DISPLAY_3D, DISPLAY_OTHER, ACCELERATOR = 0x0300, 0x0302, 0x0380, 0x1200
CARD_CLASSES = {
    NVIDIA: (VGA, DISPLAY_3D),
    AMD: (VGA, DISPLAY_3D, DISPLAY_OTHER, ACCELERATOR),
}


@dataclass(frozen=True)
class Card:
    """One card that can compute. `driver` is the bound kernel driver, "" when there is none."""

    address: str  # PCI address, "0000:3b:00.0"
    vendor: str
    device: int
    driver: str
    generation: str  # "" for what is not NVIDIA's, and for ids that the table does not know

    def as_fact(self) -> dict[str, Any]:
        return {**asdict(self), "device": f"0x{self.device:04x}"}


@dataclass(frozen=True)
class Problem:
    """A problem with a card, and what to do next."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True)
class Decision:
    """The driver of a machine. `flavour` is "none" where no NVIDIA card is."""

    flavour: str
    problems: tuple[Problem, ...] = ()


def find_cards(sysfs_root: str, generations: list[dict[str, Any]]) -> tuple[list[Card], list[str]]:
    """Cards in the order of their addresses, and the addresses of other displays (a BMC has one).

    Raises OSError when the PCI bus cannot be read; a machine without a PCI bus has no cards.
    """
    devices = Path(sysfs_root) / "bus" / "pci" / "devices"
    cards: list[Card] = []
    displays: list[str] = []
    if not devices.is_dir():
        return cards, displays
    for entry in sorted(devices.iterdir()):
        device_class = _number(entry / "class") >> 8  # the last byte is the programming interface
        vendor = _number(entry / "vendor")
        if device_class in CARD_CLASSES.get(vendor, ()):
            device = _number(entry / "device")
            generation = generation_of(device, generations) if vendor == NVIDIA else ""
            cards.append(Card(entry.name, VENDORS[vendor], device, _driver(entry), generation))
        elif device_class >> 8 == 0x03:
            displays.append(entry.name)
    return cards, displays


def generation_of(device: int, generations: list[dict[str, Any]]) -> str:
    """The generation whose ranges hold the device id, or ""."""
    for generation in generations:
        for first, last in generation["device_ids"]:
            if first <= device <= last:
                return str(generation["name"])
    return ""


def decide(
    cards: list[Card], generations: list[dict[str, Any]], branch: int, requested: str = "auto"
) -> Decision:
    """One flavour that serves every NVIDIA card of the machine: `open`, `proprietary` or `legacy`.

    `branch` is the driver branch that the chosen source offers, 550 in Debian 13. `requested` other than
    `auto` is taken when every card can live with it. Device ids that the table does not know count as
    newer than it.
    """
    by_name = {str(generation["name"]): generation for generation in generations}
    mine = [card for card in cards if card.vendor == "nvidia"]
    if not mine:
        return Decision("none")
    if requested == "legacy":  # the operator names the packages; the table has no say
        return Decision("legacy")
    problems: list[Problem] = []
    possible = {"open", "proprietary"}
    for card in mine:
        known = by_name.get(card.generation)
        if known is None:
            possible &= {"open"}
            continue
        problems += _branch_problems(card, known, branch)
        possible &= set(known["flavours"])
    if problems:
        return Decision(
            "legacy" if all(p.code == "gpu.branch_too_new" for p in problems) else "none", tuple(problems)
        )
    if not possible:
        listed = ", ".join(f"{card.address} ({card.generation or 'unknown'})" for card in mine)
        return _refused(
            "gpu.mixed_generations",
            f"No one driver serves all cards: {listed}.",
            "A machine has one NVIDIA driver. Put the cards into different machines.",
        )
    if requested != "auto":
        if requested in possible:
            return Decision(requested)
        return _refused(
            "gpu.flavour_impossible",
            f"The {requested} driver does not serve every card of this machine.",
            f"Set gpu__driver_flavour to auto or {sorted(possible)[0]}.",
        )
    return Decision("open" if "open" in possible else "proprietary")


def find_lost_cards(cards: list[Card], state_file: str) -> list[str]:
    """Addresses that the last run wrote down and that are gone now; none before the first run."""
    try:
        recorded = json.loads(Path(state_file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    here = {card.address for card in cards}
    return [address for address in recorded.get("addresses", []) if address not in here]


def _branch_problems(card: Card, generation: dict[str, Any], branch: int) -> list[Problem]:
    first, last = int(generation["first_branch"]), generation.get("last_branch")
    who = f"The card {card.address} (0x{card.device:04x}, {card.generation})"
    if branch < first:
        return [
            Problem(
                "gpu.branch_too_old",
                f"{who} needs driver {first} or newer; this source has {branch}.",
                "Set gpu__driver_source to cuda_repo, or to local_mirror with a newer gpu__driver_branch.",
            )
        ]
    if last is not None and branch > int(last):
        return [
            Problem(
                "gpu.branch_too_new",
                f"{who} was last served by driver {last}; this source has {branch}.",
                "Take it out, or set gpu__driver_source to local_mirror, gpu__driver_flavour to legacy and "
                f"gpu__driver_packages to packages of driver {last}.",
            )
        ]
    return []


def _refused(code: str, message: str, hint: str) -> Decision:
    return Decision("none", (Problem(code, message, hint),))


def _driver(entry: Path) -> str:
    link = entry / "driver"
    return link.readlink().name if link.is_symlink() else ""


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii").strip(), 16)
