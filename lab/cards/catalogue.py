"""The kinds of cards that a lab can put into a machine, and how `--gpus` names them."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field

from soundstage.errors import Invalid

MAX_CARDS = 16


class CardKind(NamedTuple):
    """A model as PCI and the driver know it. `memory_mib` is what the driver reports.

    `pci_class`: 0x030000 VGA, 0x030200 3D controller. `generation` is NVIDIA's architecture, or empty.
    """

    model: str
    vendor: str
    device: str
    pci_class: str
    memory_mib: int
    generation: str = ""


NVIDIA, AMD, ASPEED = "0x10de", "0x1002", "0x1a03"

# Ids from the PCI ID database (pci-ids.ucw.cz); memory as nvidia-smi prints it.
KINDS: dict[str, CardKind] = {
    "gtx-1080": CardKind("NVIDIA GeForce GTX 1080", NVIDIA, "0x1b80", "0x030000", 8192, "pascal"),
    "rtx-2080-super": CardKind("NVIDIA GeForce RTX 2080 SUPER", NVIDIA, "0x1e81", "0x030000", 8192, "turing"),
    "t4": CardKind("Tesla T4", NVIDIA, "0x1eb8", "0x030200", 15360, "turing"),
    "rtx-3090": CardKind("NVIDIA GeForce RTX 3090", NVIDIA, "0x2204", "0x030000", 24576, "ampere"),
    "l4": CardKind("NVIDIA L4", NVIDIA, "0x27b8", "0x030200", 23034, "ada"),
    "rtx-4090": CardKind("NVIDIA GeForce RTX 4090", NVIDIA, "0x2684", "0x030000", 24564, "ada"),
    "h200": CardKind("NVIDIA H200", NVIDIA, "0x2335", "0x030200", 143771, "hopper"),
    "rtx-5090": CardKind("NVIDIA GeForce RTX 5090", NVIDIA, "0x2b85", "0x030000", 32607, "blackwell"),
    "mi210": CardKind("AMD Instinct MI210", AMD, "0x740f", "0x038000", 65520),
    "bmc": CardKind("ASPEED Graphics Family", ASPEED, "0x2000", "0x030000", 16),
}
DEFAULT_KIND = "l4"


class Card(BaseModel, frozen=True, extra="forbid"):
    """One card in one machine. `uuid` is empty for what is no NVIDIA card."""

    kind: str
    pci_address: str
    uuid: Annotated[str, Field(default="")]

    @property
    def spec(self) -> CardKind:
        return KINDS[self.kind]

    @property
    def is_nvidia(self) -> bool:
        return self.spec.vendor == NVIDIA


def read_gpus(text: str) -> list[tuple[Card, ...]]:
    """`--gpus`: one entry per machine, parted by commas. `0`; `2` (two L4); `rtx-2080-super`; `2*l4+bmc`."""
    return [_machine(number, entry.strip()) for number, entry in enumerate(text.split(","), 1)]


def cards_of_kinds(machine: int, kinds: list[str]) -> tuple[Card, ...]:
    """Cards with the ids that they get in machine number `machine` of a lab: the same in every run."""
    return tuple(
        Card(
            kind=kind,
            pci_address=f"0000:{slot:02x}:00.0",
            uuid=f"GPU-{machine:08x}-0000-4000-8000-{slot:012x}" if KINDS[kind].vendor == NVIDIA else "",
        )
        for slot, kind in enumerate(kinds, 1)
    )


def _machine(machine: int, entry: str) -> tuple[Card, ...]:
    kinds: list[str] = []
    for part in entry.split("+"):
        match = re.fullmatch(r"(?:([0-9]{1,2})\*)?([a-z][a-z0-9-]*)|([0-9]{1,2})", part.strip())
        kind = (match[2] or DEFAULT_KIND) if match else ""
        if match is None or kind not in KINDS:
            raise Invalid(
                "lab.gpus_invalid",
                f"“{entry}” does not say which cards machine {machine} has.",
                f"Write a number, or kinds: `0,2,rtx-2080-super,2*l4+bmc`. Kinds: {', '.join(KINDS)}.",
            )
        kinds += [kind] * int(match[3] or match[1] or 1)
    if len(kinds) > MAX_CARDS:
        raise Invalid(
            "lab.gpus_invalid",
            f"Machine {machine} cannot have {len(kinds)} cards.",
            f"At most {MAX_CARDS} fit.",
        )
    return cards_of_kinds(machine, kinds)
