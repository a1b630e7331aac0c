"""Holds the networks of one process between scenes and stages: on the card while there is room, else in main
memory, the least recently used going first.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from avatar.engines.card_memory import find_card, give_back, hold_to_lease, peak_mib

MIB = 1 << 20


class Model(Protocol):
    """Networks that can wait in main memory."""

    def weigh(self) -> int:
        """Bytes of its weights that lie on the card while it works."""
        ...

    def come(self) -> None:
        """Onto the card."""
        ...

    def leave(self) -> None:
        """Into main memory."""
        ...


M = TypeVar("M", bound=Model)


@dataclass(slots=True)
class _Held:
    model: Any
    bytes: int
    on_card: bool = True


def card_budget() -> int | None:
    """Bytes that our tensors may take; None where no card bounds them. Torch is held to the lease."""
    card = find_card()
    if card is None:
        return None
    hold_to_lease(card)
    return card.budget_mib * MIB


class ModelHolder:
    """One for each process; one thread at a time. `budget` says how many bytes may be taken, None for any."""

    def __init__(self, budget: Callable[[], int | None] = card_budget) -> None:
        self._budget = budget
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self.wide = False
        """Whether networks come in fp32, because on this card smaller numbers have run over."""
        self.loads: list[str] = []
        """Names in the order in which they were read from disk."""

    def lend(self, name: str, load: Callable[[], M], working_mib: int, *, beside: tuple[str, ...] = ()) -> M:
        """The model of this name on the card, with room for `working_mib` more while it works.

        Others make room, except those named `beside`, which work at the same time. It is read from disk only
        when it is not held.
        """
        held = self._held.get(name)
        if held is None:
            # What it weighs is known when it is there: room is made for its work first, then for itself.
            self._make_room(working_mib * MIB, (name, *beside))
            model = load()
            self.loads.append(name)
            held = self._held[name] = _Held(model, model.weigh())
            self._make_room(working_mib * MIB, (name, *beside))
        elif not held.on_card:
            self._make_room(held.bytes + working_mib * MIB, (name, *beside))
            held.model.come()
            held.on_card = True
        self._held.move_to_end(name)
        lent: M = held.model
        return lent

    def fits(self, working_mib: int) -> bool:
        """Returns whether so much can be had together, if all that is held now makes room."""
        budget = self._budget()
        return budget is None or working_mib * MIB <= budget

    def put_away(self, name: str) -> None:
        """Into main memory, if it is held."""
        held = self._held.get(name)
        if held is not None and held.on_card:
            held.model.leave()
            held.on_card = False
            _return_freed()

    def clear(self) -> None:
        """Forgets all of them: what they took is free again."""
        self._held.clear()
        _return_freed()

    @property
    def peak_mib(self) -> int | None:
        """The most of a card that this process has taken; None where it used none."""
        return peak_mib() if self.loads else None

    @property
    def on_card(self) -> tuple[str, ...]:
        """Names of those that are on the card, the least recently used first."""
        return tuple(name for name, held in self._held.items() if held.on_card)

    def _make_room(self, needed_bytes: int, pinned: tuple[str, ...]) -> None:
        budget = self._budget()
        if budget is None:
            return
        for name in self.on_card:
            if sum(held.bytes for held in self._held.values() if held.on_card) + needed_bytes <= budget:
                return
            if name not in pinned:
                self.put_away(name)


def _return_freed() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        give_back(torch)
