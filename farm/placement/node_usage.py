"""Counts what leases take of one node; written by `lease_table`, read by `wait_reasons` and `explain`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from farm.placement.cards import Card, CardKind, Node, Request
from farm.placement.leases import Lease

MACHINE = ""
"""In place of a card's uuid: the machine (processor and memory) without its cards."""
CardKey = tuple[str, str]
"""Node id and uuid of a card, or `MACHINE`: fake cards of two nodes may have one uuid."""


@dataclass(slots=True)
class NodeUsage:
    """A node and what its leases take of it."""

    node: Node
    cpu_mhz: int = 0
    memory_mib: int = 0
    taken: dict[str, int] = field(default_factory=dict)
    """By uuid: shares on a shared node, leases on a whole-card node."""
    cards: dict[str, Card] = field(default_factory=dict)

    @property
    def free_cpu_mhz(self) -> int:
        return self.node.cpu_mhz - self.cpu_mhz

    @property
    def free_memory_mib(self) -> int:
        return self.node.memory_mib - self.memory_mib

    def has_machine_for(self, request: Request) -> bool:
        needs = request.needs
        return needs.cpu_mhz <= self.free_cpu_mhz and needs.memory_mib <= self.free_memory_mib

    def free_shares(self, card: Card) -> int:
        """Returns the free shares: never below zero, even where others have taken more than there is."""
        return 0 if card.fault else max(0, card.shares - self.taken.get(card.uuid, 0))

    def free_cards(self, kind: CardKind) -> list[Card]:
        return [c for c in self.node.cards if c.kind == kind and not c.fault and not self.taken.get(c.uuid)]

    def count(self, lease: Lease, sign: int) -> None:
        """Adds (1) or subtracts (-1) what a lease holds here."""
        self.cpu_mhz += sign * lease.cpu_mhz
        self.memory_mib += sign * lease.memory_mib
        for uuid in lease.assignment.cards:
            # A lease of whole cards on a node that shares now takes all shares, until it ends.
            whole = self.cards[uuid].shares if self.node.shared and uuid in self.cards else 1
            amount = (lease.assignment.shares or whole) if self.node.shared else 1
            left = self.taken.get(uuid, 0) + sign * amount
            if left:
                self.taken[uuid] = left
            else:
                self.taken.pop(uuid, None)


def all_keys(node: Node) -> Iterator[CardKey]:
    """Returns the keys of every card of a node and of the machine itself."""
    return ((node.id, uuid) for uuid in (MACHINE, *(card.uuid for card in node.cards)))
