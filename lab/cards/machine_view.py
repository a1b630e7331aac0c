"""What a machine sees of its cards: PCI devices in /sys, nvidia-smi, and the file that our device plugin reads.

All of it follows from `cards.json` in the machine's folder, which the faults change while the machine runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab.cards.catalogue import Card
from lab.places import MachinePlaces

# Where the machine finds the folder.
INSIDE = "/opt/soundstage-lab/gpu"


def write_cards(machine: MachinePlaces, cards: tuple[Card, ...]) -> None:
    """Before the machine boots. Cards that are not NVIDIA's are PCI devices and nothing more."""
    machine.cards.mkdir(parents=True)
    devices = machine.cards / "sys" / "bus" / "pci" / "devices"
    devices.mkdir(parents=True)
    for card in cards:
        _write_pci_device(devices / card.pci_address, card)
    write_card_file(
        machine,
        [
            {
                "uuid": card.uuid,
                "model": card.of_kind.model,
                "memory_mib": card.of_kind.memory_mib,
                "used_mib": 0,
                "pci_bus_id": f"0000{card.pci_address}".upper(),
            }
            for card in cards
            if card.is_nvidia
        ],
    )


def write_card_file(machine: MachinePlaces, cards: list[dict[str, Any]]) -> None:
    """Whole or not at all: the plugin reads it all the time."""
    staging = machine.cards / "cards.json.new"
    staging.write_text(json.dumps(cards, indent=1))
    staging.replace(machine.cards / "cards.json")


def read_card_file(machine: MachinePlaces) -> list[dict[str, Any]]:
    cards: list[dict[str, Any]] = json.loads((machine.cards / "cards.json").read_text())
    return cards


def card_binds(machine: MachinePlaces) -> list[str]:
    """Options of systemd-nspawn. A mount unit in the machine puts the devices into its /sys."""
    return [f"--bind-ro={machine.cards}:{INSIDE}"]


def _write_pci_device(folder: Path, card: Card) -> None:
    folder.mkdir()
    kind = card.of_kind
    for name, value in {
        "class": kind.pci_class,
        "vendor": kind.vendor,
        "device": kind.device,
        "subsystem_vendor": kind.vendor,
        "subsystem_device": "0x0000",
        "revision": "0xa1",
        "current_link_width": "16",
        "current_link_speed": "16.0 GT/s PCIe",
        "max_link_width": "16",
        "max_link_speed": "16.0 GT/s PCIe",
        "numa_node": "-1",
    }.items():
        (folder / name).write_text(f"{value}\n")
