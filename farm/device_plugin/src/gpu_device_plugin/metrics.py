"""Writes what the cards read into a text file of node-exporter, beside the status file (written by
`services`).

Names and labels are declared in soundstage/telemetry/metrics.py; a test compares both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gpu_device_plugin.cards import Card
from gpu_device_plugin.files import replace_file

FILE = "soundstage-cards.prom"
_MIB = 1 << 20

# name, help, and the value of a card; None where it does not say.
_GAUGES: tuple[tuple[str, str, Callable[[Card], float | None]], ...] = (
    ("card_temperature_celsius", "Temperature of a card.", lambda card: card.temperature_c),
    ("card_power_watts", "Power that a card draws.", lambda card: card.power_w),
    ("card_load_ratio", "Share of time in which a card computes.", lambda card: _ratio(card.gpu_load_pct)),
    ("card_memory_used_bytes", "Memory of a card in use.", lambda card: _bytes(card.used_mib)),
    ("card_memory_bytes", "Memory of a card.", lambda card: _bytes(card.memory_mib)),
)


def save_metrics(folder: Path, cards: Sequence[Card]) -> None:
    """Replaces the file of the cards. Does nothing without node-exporter's folder. Raises OSError."""
    if folder.is_dir():
        replace_file(folder / FILE, "".join(f"{line}\n" for line in _lines(cards)))


def _lines(cards: Sequence[Card]) -> Iterator[str]:
    yield from _family("card_healthy", "1 while a card works, else 0.")
    for card in cards:
        labels = f'card="{_text(card.uuid)}",model="{_text(card.model)}"'
        yield f"soundstage_card_healthy{{{labels}}} {int(not card.fault)}"
    for name, sentence, value_of in _GAUGES:
        yield from _family(name, sentence)
        for card in cards:
            # What a card said before it failed is old.
            if not card.fault and (value := value_of(card)) is not None:
                yield f'soundstage_{name}{{card="{_text(card.uuid)}"}} {value}'
    yield from _family("card_ecc_errors", "Memory errors of a card since the driver was loaded.")
    for card in cards:
        for kind, count in (("corrected", card.ecc_corrected), ("uncorrected", card.ecc_uncorrected)):
            if count is not None:
                yield f'soundstage_card_ecc_errors{{card="{_text(card.uuid)}",kind="{kind}"}} {count}'
    yield from _family("cards_written_timestamp_seconds", "When these figures were written.")
    yield f"soundstage_cards_written_timestamp_seconds {time.time():.0f}"


def _family(name: str, sentence: str) -> Iterator[str]:
    yield f"# HELP soundstage_{name} {sentence}"
    yield f"# TYPE soundstage_{name} gauge"


def _text(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", " ")


def _ratio(percent: int | None) -> float | None:
    return None if percent is None else percent / 100


def _bytes(mib: int | None) -> float | None:
    return None if mib is None else mib * _MIB
