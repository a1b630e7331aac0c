"""Changes to a farm or a request as data: each describes itself and can be tried on a copy; created by
`explain`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from farm.placement.cards import CardUse, Node, Request
from farm.placement.lease_table import LeaseTable
from farm.placement.leases import Assignment
from farm.placement.text import any_of, gib, join_list


@dataclass(frozen=True, slots=True)
class Scenario:
    """The inputs of a placement. A change returns another scenario and leaves this one alone."""

    table: LeaseTable
    request: Request
    avoided: frozenset[str] = frozenset()

    def find(self) -> Assignment | None:
        return self.table.find(self.request, self.avoided)


class Change(Protocol):
    def describe(self) -> str:
        """Returns what to do, as the end of a sentence."""

    def apply(self, scenario: Scenario) -> Scenario: ...


@dataclass(frozen=True, slots=True)
class WaitForEnd:
    """Waits for (or cancels) what runs there."""

    node_id: str
    node_name: str
    lease_ids: tuple[str, ...]
    at_s: float

    def describe(self) -> str:
        what = f"{self.lease_ids[0]} ends" if len(self.lease_ids) == 1 else f"{len(self.lease_ids)} tasks end"
        return (
            f"wait until {what} on {self.node_name}, or cancel {'it' if len(self.lease_ids) == 1 else 'them'}"
        )

    def apply(self, scenario: Scenario) -> Scenario:
        table = scenario.table.subset([self.node_id])
        for lease_id in self.lease_ids:
            table.release(lease_id)
        return replace(scenario, table=table)


@dataclass(frozen=True, slots=True)
class ReleaseReservations:
    """Releases cards of a node that are reserved for requests that have waited longer."""

    node_id: str
    node_name: str
    holders: tuple[str, ...]

    def describe(self) -> str:
        first = f"wait until {join_list(self.holders)} can run on {self.node_name}"
        return f"{first}, or cancel {'it' if len(self.holders) == 1 else 'them'}"

    def apply(self, scenario: Scenario) -> Scenario:
        table = scenario.table.subset([self.node_id])
        for holder in self.holders:
            table.release_reservations(holder)
        return replace(scenario, table=table)


@dataclass(frozen=True, slots=True)
class Unblock:
    """Takes a node off the block-list of an engine: now by hand, or when its time is over."""

    node_id: str
    node_name: str
    until_s: float

    def describe(self) -> str:
        return f"wait, or set {self.node_name} aside and let it work again"

    def apply(self, scenario: Scenario) -> Scenario:
        return replace(
            scenario, table=scenario.table.subset([self.node_id]), avoided=scenario.avoided - {self.node_id}
        )


@dataclass(frozen=True, slots=True)
class RepairCards:
    """Repairs the faulty cards of a node."""

    node_id: str
    node_name: str

    def describe(self) -> str:
        return f"repair or replace the card on {self.node_name}"

    def apply(self, scenario: Scenario) -> Scenario:
        return replace(scenario, table=_with_node(scenario.table, self.node_id, healed=True))


@dataclass(frozen=True, slots=True)
class Undrain:
    node_id: str
    node_name: str

    def describe(self) -> str:
        return f"let {self.node_name} take work again"

    def apply(self, scenario: Scenario) -> Scenario:
        return replace(scenario, table=_with_node(scenario.table, self.node_id, healed=False))


@dataclass(frozen=True, slots=True)
class LowerNeed:
    """Lowers one need: `name` is a field of Needs."""

    name: Literal["vram_mib", "gpus", "cpu_mhz", "memory_mib"]
    amount: int

    def describe(self) -> str:
        return f"lower {self.name} to {self.amount}"

    def apply(self, scenario: Scenario) -> Scenario:
        changed: dict[str, Any] = {self.name: self.amount}
        needs = replace(scenario.request.needs, **changed)
        return replace(scenario, request=replace(scenario.request, needs=needs))


@dataclass(frozen=True, slots=True)
class AnyModel:
    """Drops the demands on model and attributes."""

    request: Request

    def describe(self) -> str:
        model = f" {any_of(self.request.models)}" if self.request.models else ""
        return f"do not insist on the model{model} and its attributes"

    def apply(self, scenario: Scenario) -> Scenario:
        return replace(scenario, request=replace(scenario.request, models=(), constraints=()))


@dataclass(frozen=True, slots=True)
class ChangeUse:
    """Asks for a whole card instead of shares, or for shares instead of a whole card."""

    use: CardUse

    def describe(self) -> str:
        return {
            CardUse.WHOLE: "ask for whole cards",
            CardUse.SHARED: "ask for shares of a card",
            CardUse.EITHER: "allow both shares and whole cards",
        }[self.use]

    def apply(self, scenario: Scenario) -> Scenario:
        return replace(scenario, request=replace(scenario.request, use=self.use))


@dataclass(frozen=True, slots=True)
class AddNode:
    """Adds a machine; always helps."""

    node: Node

    def describe(self) -> str:
        if not self.node.cards:
            return f"add a node with {self.node.cpu_mhz} MHz and {gib(self.node.memory_mib)} of memory"
        number = len(self.node.cards)
        return f"add {'a card' if number == 1 else f'a node with {number} cards'} that is free"

    def apply(self, scenario: Scenario) -> Scenario:
        return replace(scenario, table=LeaseTable([self.node]))


def _with_node(table: LeaseTable, node_id: str, *, healed: bool) -> LeaseTable:
    part = table.subset([node_id])
    for node in part.nodes:
        if healed:
            part.upsert_node(replace(node, cards=tuple(replace(card, fault="") for card in node.cards)))
        else:
            part.upsert_node(replace(node, drained=False))
    return part
