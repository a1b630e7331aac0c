"""Computes when a request could start on a node that is busy now, and which leases have to end for it; used
by the queue, which holds cards for long waits, and by `explain`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from farm.placement.cards import Card, CardKind, Node, Request
from farm.placement.lease_table import LeaseTable
from farm.placement.leases import Lease
from farm.placement.node_usage import MACHINE, CardKey, NodeUsage, all_keys


@dataclass(frozen=True, slots=True)
class Wait:
    """`at_s` is infinite when the end of one of `leases` is unknown. `cards` is empty for CPU-only
    requests.
    """

    node_id: str
    cards: tuple[str, ...]
    at_s: float
    leases: tuple[Lease, ...]


def earliest(
    table: LeaseTable, request: Request, avoid: Container[str] = (), enough: int = 64
) -> Wait | None:
    """Returns the soonest of the first `enough` places on the nodes as they are, holds of others left alone.
    None where ends of leases alone would not make room anywhere, which takes a look at every node to find
    out.
    """
    found = (earliest_on(table, request, usage) for usage in table.usages() if usage.node.id not in avoid)
    possible = itertools.islice((wait for wait in found if wait is not None), enough)
    return min(possible, key=_sooner, default=None)


def earliest_on(table: LeaseTable, request: Request, usage: NodeUsage) -> Wait | None:
    """Returns the same for one node."""
    node, needs = usage.node, request.needs
    if node.drained or needs.cpu_mhz > node.cpu_mhz or needs.memory_mib > node.memory_mib:
        return None
    if needs.gpus == 0 and table.find_reservation(node.id) not in (None, request.id):
        return None
    leases = sorted(table.leases_on(node.id), key=_end)
    machine = _first_to_end(leases, usage.free_cpu_mhz, needs.cpu_mhz, lambda lease: lease.cpu_mhz)
    memory = _first_to_end(leases, usage.free_memory_mib, needs.memory_mib, lambda lease: lease.memory_mib)
    options = list(_card_options(table, request, usage, leases)) if needs.gpus else [((), [])]
    waits = []
    for uuids, ends in options:
        needed = {lease.id: lease for lease in [*machine, *memory, *ends]}
        at_s = max((_end(lease) for lease in needed.values()), default=-math.inf)
        waits.append(Wait(node.id, uuids, at_s, tuple(needed.values())))
    return min(waits, key=_sooner, default=None)


def _card_options(
    table: LeaseTable, request: Request, usage: NodeUsage, leases: list[Lease]
) -> Iterable[tuple[tuple[str, ...], list[Lease]]]:
    """Yields sets of cards that fit, each with the leases that must end before."""
    usable = [
        card
        for card in usage.node.cards
        if not card.fault
        and card.memory_mib >= request.needs.vram_mib
        and table.find_reservation(usage.node.id, card.uuid) in (None, request.id)
        and request.accepts(card.kind)
    ]
    if usage.node.shared:
        if not request.may_share:
            return
        for card in usable:
            if card.shares >= request.shares:
                on_card = [lease for lease in leases if card.uuid in lease.assignment.cards]
                free = card.shares - usage.taken.get(card.uuid, 0)
                yield (card.uuid,), _first_to_end(on_card, free, request.shares, _shares_of(card))
        return
    if not request.may_take_whole:
        return
    kinds: dict[CardKind, list[tuple[float, str, list[Lease]]]] = {}
    for card in usable:
        ends = [lease for lease in leases if card.uuid in lease.assignment.cards]
        free_s = max((_end(lease) for lease in ends), default=-math.inf)
        kinds.setdefault(card.kind, []).append((free_s, card.uuid, ends))
    for cards in kinds.values():
        if len(cards) >= request.needs.gpus:
            chosen = sorted(cards, key=lambda one: one[:2])[: request.needs.gpus]
            yield tuple(uuid for _, uuid, _ in chosen), [lease for *_, ends in chosen for lease in ends]


def _first_to_end(
    leases: list[Lease], free: int, required: int, amount: Callable[[Lease], int]
) -> list[Lease]:
    """Returns the first leases to end that leave enough free; those that hold nothing of it are skipped."""
    ends: list[Lease] = []
    for lease in leases:
        if free >= required:
            break
        if amount(lease):
            free += amount(lease)
            ends.append(lease)
    return ends


def _shares_of(card: Card) -> Callable[[Lease], int]:
    return lambda lease: lease.assignment.shares or card.shares


def cards_to_reserve(wait: Wait, node: Node) -> list[CardKey]:
    """Returns what to reserve so that the wait ends: the cards and the machine, or the whole node where the
    machine, not the cards, is what is short: work on any of its cards would take that.
    """
    short_of_cards = any(uuid in wait.cards for lease in wait.leases for uuid in lease.assignment.cards)
    if wait.cards and (short_of_cards or not wait.leases):
        return [(wait.node_id, uuid) for uuid in (MACHINE, *wait.cards)]
    return list(all_keys(node))


def _end(lease: Lease) -> float:
    return math.inf if lease.expected_end_s is None else lease.expected_end_s


def _sooner(wait: Wait) -> tuple[float, int, str]:
    return (wait.at_s, len(wait.leases), wait.node_id)
