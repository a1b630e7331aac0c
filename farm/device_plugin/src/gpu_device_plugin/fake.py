"""Fake cards from a JSON file that is read anew each time (opened by `watch`): drills and tests break cards
by editing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gpu_device_plugin.cards import Card, UnreadableCards

_REQUIRED = {"uuid": str, "model": str, "memory_mib": int}
_OPTIONAL = {
    "used_mib": int,
    "fault": str,
    "pci_bus_id": str,
    "compute_capability": int,
    "power_w": int,
    "gpu_load_pct": int,
    "temperature_c": int,
    "ecc_corrected": int,
    "ecc_uncorrected": int,
}


class FakeCards:
    """A list of objects: `{"uuid", "model", "memory_mib"}` and, if wanted, `"used_mib"`, `"fault"`,
    `"pci_bus_id"`, `"compute_capability"` (times ten), `"power_w"`, `"gpu_load_pct"`, `"temperature_c"`,
    `"ecc_corrected"`, `"ecc_uncorrected"`.

    A card vanishes when its object is removed, turns unhealthy when `fault` has a text, and shrinks with
    `memory_mib`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Card]:
        try:
            document: Any = json.loads(self._path.read_text(encoding="utf-8"))
        except OSError as e:
            raise UnreadableCards(f"the fake cards in {self._path} cannot be read: {e.strerror}") from e
        except ValueError as e:
            raise UnreadableCards(f"the fake cards in {self._path} are not JSON: {e}") from e
        if not isinstance(document, list):
            raise UnreadableCards(f"{self._path} must hold a list of cards")
        cards = [self._card(number, entry) for number, entry in enumerate(document, 1)]
        # Nomad would merge two cards of one id into one without a word.
        if len({card.uuid for card in cards}) < len(cards):
            raise UnreadableCards(f"two cards in {self._path} have the same uuid")
        return cards

    def _card(self, number: int, entry: Any) -> Card:
        where = f"card {number} in {self._path}"
        if not isinstance(entry, dict):
            raise UnreadableCards(f"{where} is not an object")
        unknown = set(entry) - set(_REQUIRED) - set(_OPTIONAL)
        if unknown:
            raise UnreadableCards(f"{where} has unknown fields: {', '.join(sorted(map(str, unknown)))}")
        for name, kind in {**_REQUIRED, **_OPTIONAL}.items():
            if name not in entry:
                if name in _REQUIRED:
                    raise UnreadableCards(f"{where} lacks {name}")
            elif not isinstance(entry[name], kind) or isinstance(entry[name], bool):
                raise UnreadableCards(f"{where}: {name} must be {'a number' if kind is int else 'a text'}")
        if not entry["uuid"] or not entry["model"] or entry["memory_mib"] <= 0:
            raise UnreadableCards(f"{where}: uuid and model must not be empty, memory_mib must be above 0")
        return Card(**entry)
