"""Describes a card, and the port behind which real and fake cards are read (by `watch`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class UnreadableCards(Exception):
    """The cards of this node cannot be listed now; the text says why and is shown to people."""


@dataclass(frozen=True, slots=True)
class Card:
    """One physical card as it was at the last reading.

    `fault` empty means healthy. Sizes in MiB, power in watts, clocks in MHz, bandwidth in MB/s, temperature
    in °C, loads in per cent; `None` where the card or its driver does not say.
    """

    uuid: str
    model: str
    memory_mib: int
    fault: str = ""
    used_mib: int | None = None
    pci_bus_id: str = ""
    driver_version: str = ""
    power_limit_w: int | None = None
    power_w: int | None = None
    bar1_mib: int | None = None
    cores_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    pci_bandwidth_mb_s: int | None = None
    display: bool | None = None
    persistence: bool | None = None
    gpu_load_pct: int | None = None
    memory_load_pct: int | None = None
    temperature_c: int | None = None
    compute_capability: int | None = None
    """Times ten: 75 is 7.5."""
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    """Memory errors since the driver was loaded."""


class CardSource(Protocol):
    """Lists the cards of this node. Called from one thread only, again and again."""

    def read(self) -> list[Card]:
        """All cards in a stable order. Raises UnreadableCards; may block as long as the driver does."""
        ...
