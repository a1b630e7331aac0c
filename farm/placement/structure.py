"""Checks whether a request could ever run on a node as it is built, and what is too small where it could not:
busy, faulty and drained do not count here. Called by `explain`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from farm.placement.cards import Card, CardUse, Node, Request
from farm.placement.changes import AnyModel, Change, ChangeUse, LowerNeed, Scenario


def fitting_cards(request: Request, node: Node) -> list[Card]:
    """Returns the cards of the node that fit the request, none where the node does not."""
    needs = request.needs
    if needs.cpu_mhz > node.cpu_mhz or needs.memory_mib > node.memory_mib:
        return []
    if not (request.may_share if node.shared else request.may_take_whole):
        return []
    fitting = [
        card
        for card in node.cards
        if card.memory_mib >= needs.vram_mib
        and (not node.shared or card.shares >= request.shares)
        and request.accepts(card.kind)
    ]
    if not node.shared:
        kinds = Counter(card.kind for card in fitting)
        fitting = [card for card in fitting if kinds[card.kind] >= needs.gpus]
    return fitting


def could_run(request: Request, node: Node) -> bool:
    if request.needs.gpus:
        return bool(fitting_cards(request, node))
    return request.needs.cpu_mhz <= node.cpu_mhz and request.needs.memory_mib <= node.memory_mib


def could_run_somewhere(request: Request, nodes: Iterable[Node]) -> bool:
    return any(could_run(request, node) for node in nodes)


def relaxations(scenario: Scenario) -> Iterator[list[Change]]:
    """Yields one list per demand that could be relaxed, each from the smallest to the largest change."""
    request, nodes = scenario.request, scenario.table.nodes
    needs = request.needs
    if request.models or request.constraints:
        yield [AnyModel(request)]
    yield [ChangeUse(use) for use in _other_uses(request)]
    avoided = scenario.avoided
    free = [
        usage for usage in scenario.table.usages() if not usage.node.drained and usage.node.id not in avoided
    ]
    without = replace(request, needs=replace(needs, cpu_mhz=0))
    mhz = {n for d in free if could_run(without, d.node) for n in (d.node.cpu_mhz, d.free_cpu_mhz)}
    yield [LowerNeed("cpu_mhz", amount) for amount in _below(mhz, needs.cpu_mhz)]
    without = replace(request, needs=replace(needs, memory_mib=0))
    mib = {n for d in free if could_run(without, d.node) for n in (d.node.memory_mib, d.free_memory_mib)}
    yield [LowerNeed("memory_mib", amount) for amount in _below(mib, needs.memory_mib)]
    if needs.gpus:
        yield [LowerNeed("vram_mib", mib) for mib in _sizes(nodes) if mib < needs.vram_mib]
        maximum = max((len(node.cards) for node in nodes), default=0)
        yield [LowerNeed("gpus", number) for number in range(min(needs.gpus - 1, maximum), 0, -1)]


def _sizes(nodes: Iterable[Node]) -> list[int]:
    """All that can be asked of one card, the largest first."""
    sizes = {card.shares * 1024 if node.shared else card.memory_mib for node in nodes for card in node.cards}
    return sorted(sizes, reverse=True)


def _other_uses(request: Request) -> list[CardUse]:
    if request.use is CardUse.EITHER or request.needs.gpus != 1:
        return []
    return [CardUse.EITHER]


def _below(amounts: set[int], limit: int) -> list[int]:
    """At most a few: each is tried on the whole farm."""
    return sorted((amount for amount in amounts if 0 < amount < limit), reverse=True)[:16]
