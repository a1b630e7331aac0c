"""Cards that fail, each in one of the ways of real ones. All take the machine's first NVIDIA card."""

from __future__ import annotations

from typing import Any

from lab.cards.machine_view import (
    read_card_file,
    read_health,
    write_card_file,
    write_driver,
    write_health,
    write_kernel_log,
)
from lab.faults.fault import Fault, FaultTarget
from soundstage.errors import Conflict

_LOST = "GPU is lost (Xid 79: it has fallen off the bus)"
_MISMATCH = 18


def _lose_card(machine: FaultTarget) -> None:
    """The driver and the plugin lose it at the same moment; the kernel's log says why."""
    card = _first_card(machine)
    _change_card(machine, fault=_LOST)
    _change_health(machine, lost=True)
    address = card["pci_bus_id"][4:].lower()
    write_kernel_log(
        machine.paths, f"NVRM: Xid (PCI:{address[:-2]}): 79, pid=0, GPU has fallen off the bus.\n"
    )


def _find_card(machine: FaultTarget) -> None:
    _change_card(machine, fault="")
    _change_health(machine, lost=False)
    write_kernel_log(machine.paths, "")


def _spoil_memory(machine: FaultTarget) -> None:
    """It works on and counts uncorrectable errors: only a health check that looks for them sees it."""
    _first_card(machine)
    _change_health(machine, ecc_uncorrectable=3, rows_used_up=True)


def _mismatch(machine: FaultTarget) -> None:
    """As after an upgrade of the driver without a reboot."""
    _first_card(machine)
    write_driver(machine.paths, {"exit_code": _MISMATCH})


def _first_card(machine: FaultTarget) -> dict[str, Any]:
    cards = read_card_file(machine.paths)
    if not cards:
        raise Conflict(
            "lab.no_card",
            f"“{machine.plan.name}” has no NVIDIA card that could fail.",
            "Give it one: `soundstage lab up --gpus …`.",
        )
    return cards[0]


def _change_card(machine: FaultTarget, **fields: Any) -> None:
    cards = read_card_file(machine.paths)
    write_card_file(machine.paths, [{**cards[0], **fields}, *cards[1:]] if cards else [])


def _change_health(machine: FaultTarget, **fields: Any) -> None:
    cards = read_card_file(machine.paths)
    if cards:
        health = read_health(machine.paths)
        uuid = cards[0]["uuid"]
        write_health(machine.paths, {**health, uuid: {**health.get(uuid, {}), **fields}})


CARD_DEAD = Fault("card-dead", "its first card has fallen off the bus (Xid 79)", _lose_card, _find_card)
CARD_MEMORY = Fault(
    "card-memory",
    "its first card has uncorrectable memory errors",
    _spoil_memory,
    lambda machine: _change_health(machine, ecc_uncorrectable=0, rows_used_up=False),
)
DRIVER = Fault(
    "driver",
    "its NVIDIA driver and programs are of different versions",
    _mismatch,
    lambda machine: write_driver(machine.paths, {}),
)
