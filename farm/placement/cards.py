"""Cards, nodes and requests as plain data; all of `farm.placement` works on these."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Literal, NamedTuple

from farm.needs import Needs
from soundstage.errors import Invalid

SHARE_MIB = 1024
"""One share of a card on a shared node. The same on all nodes of a farm, or counts would lose their meaning.
"""

Value = str | int
Operator = Literal["=", "!=", ">=", "<="]


class CardUse(StrEnum):
    """WHOLE: cards for itself, on a whole-card node. SHARED: shares of one card, on a shared node. EITHER:
    shares where there are some now, else a whole card; for one card at most.
    """

    WHOLE = "whole"
    SHARED = "shared"
    EITHER = "either"


class CardKind(NamedTuple):
    """The properties of a card that requests may ask for; a farm has few kinds."""

    model: str
    memory_mib: int
    attributes: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """A physical card. `fault` empty means healthy; `shares` counts only on shared nodes."""

    uuid: str
    model: str
    memory_mib: int
    shares: int = 0
    fault: str = ""
    attributes: tuple[tuple[str, Value], ...] = ()

    @property
    def kind(self) -> CardKind:
        return CardKind(self.model, self.memory_mib, self.attributes)


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the farm. `shared` is how its plugin announces cards; a drained node takes nothing new."""

    id: str
    name: str
    cards: tuple[Card, ...] = ()
    shared: bool = False
    cpu_mhz: int = 4000
    memory_mib: int = 8192
    drained: bool = False

    def __post_init__(self) -> None:
        if len({card.uuid for card in self.cards}) != len(self.cards):
            raise Invalid(
                "placement.same_uuid",
                f"Two cards of node {self.name} have the same uuid.",
                "Check the card file or the driver of that node.",
            )


@dataclass(frozen=True, slots=True)
class Constraint:
    """On an attribute of the card. A card that does not have the attribute does not pass."""

    attribute: str
    operator: Operator
    value: Value

    def holds(self, kind: CardKind) -> bool:
        found = dict(kind.attributes).get(self.attribute)
        if found is None or isinstance(found, str) != isinstance(self.value, str):
            return False
        if self.operator in ("=", "!="):
            return (found == self.value) == (self.operator == "=")
        # A name cannot be greater than another in any way that a person would mean.
        if isinstance(found, str) or isinstance(self.value, str):
            return False
        return found >= self.value if self.operator == ">=" else found <= self.value


@dataclass(frozen=True)
class Request:
    """One run of the worker that needs a place. `owner` is the render, for fairness between renders.

    With shares `needs.vram_mib` is what the whole segment takes at its peak; on whole cards it is the least
    memory of each card.
    """

    id: str
    owner: str
    needs: Needs = field(default_factory=Needs)
    use: CardUse = CardUse.EITHER
    models: tuple[str, ...] = ()
    """Any of these; empty for any model."""
    constraints: tuple[Constraint, ...] = ()
    expected_s: float | None = None
    """How long it will run, as `farm.placement.history` estimates; None when it is not known."""

    def __post_init__(self) -> None:
        needs = self.needs
        if min(needs.gpus, needs.vram_mib, needs.cpu_mhz, needs.memory_mib) < 0:
            raise Invalid(
                "placement.negative", "A need is below zero.", "Ask for zero or more of everything."
            )
        if needs.gpus > 1 and self.use is CardUse.SHARED:
            raise Invalid(
                "placement.shares_of_many",
                f"{needs.gpus} cards are asked for as shares, and shares of a segment lie on one card.",
                "Ask for whole cards, or for one.",
            )

    @cached_property
    def shape(self) -> Shape:
        """Equal for requests that fit in the same places."""
        return Shape(self.needs, self.use, self.models, self.constraints)

    @property
    def shares(self) -> int:
        """Shares of one card, rounded up; at least one."""
        return max(1, -(-self.needs.vram_mib // SHARE_MIB))

    @property
    def may_share(self) -> bool:
        return self.use is not CardUse.WHOLE and self.needs.gpus == 1

    @property
    def may_take_whole(self) -> bool:
        return self.use is not CardUse.SHARED and self.needs.gpus > 0

    def accepts(self, kind: CardKind) -> bool:
        """Returns whether model and attributes match, whatever the size."""
        return (not self.models or kind.model in self.models) and all(c.holds(kind) for c in self.constraints)


class Shape(NamedTuple):
    needs: Needs
    use: CardUse
    models: tuple[str, ...]
    constraints: tuple[Constraint, ...]
