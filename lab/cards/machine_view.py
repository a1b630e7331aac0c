"""Simulates the cards of a machine: PCI devices in /sys, nvidia-smi, and the file that our device plugin
reads.

The PCI devices are written once. `cards.json` is the file of the device plugin; nvidia-smi reads it too, with
`health.json`, `driver.json` and `kernel.log`. Faults change these files while the machine runs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from lab.cards.catalogue import Card
from lab.paths import MachinePaths

_NVIDIA_SMI = Path(__file__).parent / "nvidia_smi.py"
# Where the machine finds the folder.
INSIDE = "/opt/soundstage-lab/gpu"


def write_cards(machine: MachinePaths, cards: tuple[Card, ...]) -> None:
    """Writes all files before the machine boots. Cards that are not NVIDIA's are PCI devices and nothing
    more.
    """
    machine.cards.mkdir(parents=True)
    devices = machine.cards / "sys" / "bus" / "pci" / "devices"
    devices.mkdir(parents=True)
    for card in cards:
        _write_pci_device(devices / card.pci_address, card)
    write_health(machine, {})
    write_driver(machine, {})
    write_kernel_log(machine, "")
    write_card_file(
        machine,
        [
            {
                "uuid": card.uuid,
                "model": card.spec.model,
                "memory_mib": card.spec.memory_mib,
                "used_mib": 0,
                "pci_bus_id": f"0000{card.pci_address}".upper(),
            }
            for card in cards
            if card.is_nvidia
        ],
    )
    if any(card.is_nvidia for card in cards):
        program = machine.upper / "usr/bin/nvidia-smi"
        program.parent.mkdir(parents=True)
        shutil.copyfile(_NVIDIA_SMI, program)
        program.chmod(0o755)


def read_card_file(machine: MachinePaths) -> list[dict[str, Any]]:
    """The NVIDIA cards, as our device plugin reads them."""
    cards: list[dict[str, Any]] = json.loads((machine.cards / "cards.json").read_text())
    return cards


def write_card_file(machine: MachinePaths, cards: list[dict[str, Any]]) -> None:
    _write(machine, "cards.json", json.dumps(cards, indent=1))


def read_health(machine: MachinePaths) -> dict[str, dict[str, Any]]:
    """Returns what nvidia-smi reports of a card beyond the card file, by UUID: `lost`, `ecc_uncorrectable`,
    `link_width` …"""
    health: dict[str, dict[str, Any]] = json.loads((machine.cards / "health.json").read_text())
    return health


def write_health(machine: MachinePaths, health: dict[str, dict[str, Any]]) -> None:
    _write(machine, "health.json", json.dumps(health, indent=1))


def write_driver(machine: MachinePaths, driver: dict[str, Any]) -> None:
    """Writes facts of the driver: `version`, `cuda_version`; `exit_code`: nvidia-smi fails with it."""
    _write(machine, "driver.json", json.dumps(driver, indent=1))


def write_kernel_log(machine: MachinePaths, lines: str) -> None:
    """Writes the driver's lines of the kernel log, since containers share the host's kernel log."""
    _write(machine, "kernel.log", lines)


def card_binds(machine: MachinePaths) -> list[str]:
    """Options of systemd-nspawn. A mount unit in the machine puts the devices into its /sys."""
    return [f"--bind-ro={machine.cards}:{INSIDE}"]


def _write(machine: MachinePaths, name: str, text: str) -> None:
    """Writes atomically: these files are read all the time."""
    staging = machine.cards / f"{name}.new"
    staging.write_text(text)
    staging.replace(machine.cards / name)


def _write_pci_device(folder: Path, card: Card) -> None:
    folder.mkdir()
    spec = card.spec
    for name, value in {
        "class": spec.pci_class,
        "vendor": spec.vendor,
        "device": spec.device,
        "subsystem_vendor": spec.vendor,
        "subsystem_device": "0x0000",
        "revision": "0xa1",
        "current_link_width": "16",
        "current_link_speed": "16.0 GT/s PCIe",
        "max_link_width": "16",
        "max_link_speed": "16.0 GT/s PCIe",
        "numa_node": "-1",
    }.items():
        (folder / name).write_text(f"{value}\n")
