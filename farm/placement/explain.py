"""Explains why a request waits, in one sentence, and the one change that would place it. Called by the Nomad
adapter for `soundstage explain` and the API.

Nothing here is guessed: each change that is named has been made on a copy of the farm, and the search for
a place has been run on that copy with success.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from farm.placement import text
from farm.placement.blocklist import BlockList
from farm.placement.cards import Card, CardUse, Node, Request
from farm.placement.changes import (
    AddNode,
    AnyModel,
    Change,
    ChangeUse,
    LowerNeed,
    ReleaseReservations,
    RepairCards,
    Scenario,
    Unblock,
    Undrain,
    WaitForEnd,
)
from farm.placement.lease_table import LeaseTable
from farm.placement.node_usage import NodeUsage
from farm.placement.wait_reasons import Wait, earliest_on

Code = Literal["fits", "busy", "held", "avoided", "faulty", "drained", "too_large", "no_node"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`change` are the steps that together place it (mostly one; none when it fits now), `or_else` a
    second option.
    """

    code: Code
    sentence: str
    change: tuple[Change, ...] = ()
    or_else: tuple[Change, ...] = ()

    @property
    def advice(self) -> str:
        """The change as a sentence: `lower vram_mib to 24576, or add a card that is free`."""
        ways = [
            "; then ".join(change.describe() for change in way) for way in (self.change, self.or_else) if way
        ]
        return ", or ".join(ways)


@dataclass(frozen=True, slots=True)
class _Option:
    """The steps and the wait after which it could run on one node."""

    usage: NodeUsage
    steps: tuple[Change, ...]
    wait: Wait

    @property
    def ready_s(self) -> float:
        """The time when waiting alone would have done it; infinite where a person has to do something."""
        moments = [step.until_s for step in self.steps if isinstance(step, Unblock)]
        if any(isinstance(step, RepairCards | Undrain) for step in self.steps):
            return math.inf
        return max([*moments, self.wait.at_s])

    def cost(self) -> tuple[int, int, float, int, str]:
        hands = sum(isinstance(step, RepairCards | Undrain) for step in self.steps)
        held = sum(isinstance(step, ReleaseReservations) for step in self.steps)
        return (hands, held, self.ready_s, len(self.steps), self.usage.node.id)


def explain(
    request: Request, table: LeaseTable, blocks: BlockList, now_s: float, *, clock: text.Clock | None = None
) -> Explanation:
    """Explains after a search of every node: tens of milliseconds on a farm of thousands. `clock` shows times
    (default: local).
    """
    clock = clock or text.local_clock(now_s)
    scenario = Scenario(table, request, blocks.nodes(request.needs.engine, now_s))
    assignment = scenario.find()
    if assignment is not None:
        usage = table.usage(assignment.node_id)
        return Explanation("fits", f"can start now on {usage.node.name if usage else assignment.node_id}")
    best = min(_options(scenario, blocks, now_s), key=_Option.cost, default=None)
    if best is not None and places(scenario, best.steps):
        return _obstructed(scenario, blocks, best, now_s, clock)
    return _too_large(scenario)


def places(scenario: Scenario, steps: tuple[Change, ...]) -> bool:
    """Returns whether the request finds a place after these changes, made on a copy."""
    for step in steps:
        scenario = step.apply(scenario)
    return scenario.find() is not None


def _options(scenario: Scenario, blocks: BlockList, now_s: float) -> Iterator[_Option]:
    for usage in scenario.table.usages():
        if could_run(scenario.request, usage.node):
            option = _option(scenario, usage, blocks, now_s)
            if option is not None:
                yield option


def _option(scenario: Scenario, usage: NodeUsage, blocks: BlockList, now_s: float) -> _Option | None:
    """Returns the least that would make room on this node: first by time alone, then with holds released,
    then with cards repaired.
    """
    node, request = usage.node, scenario.request
    first: list[Change] = []
    if node.id in scenario.avoided:
        entry = blocks.find_avoided(node.id, request.needs.engine, now_s)
        first.append(Unblock(node.id, node.name, entry.until_s if entry else now_s))
    if node.drained:
        first.append(Undrain(node.id, node.name))
    if not first:
        wait = earliest_on(scenario.table, request, usage)
        if wait is not None:
            return _Option(usage, _ends(node, wait), wait)
    owners = {owner for key, owner in scenario.table.reservations.items() if key[0] == node.id}
    others = tuple(sorted(owners - {request.id}))
    release: list[Change] = [ReleaseReservations(node.id, node.name, others)] if others else []
    heal: list[Change] = [RepairCards(node.id, node.name)] if any(card.fault for card in node.cards) else []
    for more in _once([], release, heal, [*release, *heal]):
        changed = scenario
        for step in (*first, *more):
            changed = step.apply(changed)
        there = changed.table.usage(node.id) if first or more else usage
        wait = earliest_on(changed.table, request, there) if there is not None else None
        if wait is not None:
            return _Option(usage, (*first, *more, *_ends(node, wait)), wait)
    return None


def _once(*options: list[Change]) -> list[list[Change]]:
    return [option for number, option in enumerate(options) if option not in options[:number]]


def _ends(node: Node, wait: Wait) -> tuple[Change, ...]:
    if not wait.leases:
        return ()
    return (WaitForEnd(node.id, node.name, tuple(lease.id for lease in wait.leases), wait.at_s),)


# Something could run it, and is in the option


def _obstructed(
    scenario: Scenario, blocks: BlockList, option: _Option, now_s: float, clock: text.Clock
) -> Explanation:
    node, request = option.usage.node, scenario.request
    reasons: list[str] = []
    code: Code = "busy"
    for step in option.steps:
        if isinstance(step, Unblock):
            code = "avoided"
            entry = blocks.find_avoided(node.id, request.needs.engine, now_s)
            times = text.count(entry.failures, "time", "times") if entry else "before"
            reasons.append(f"failed {times} with this engine and is avoided until {clock(step.until_s)}")
        elif isinstance(step, Undrain):
            code = "drained"
            reasons.append("is drained and takes no new work")
        elif isinstance(step, RepairCards):
            code = "faulty"
            reasons.append(f"has {_faults(request, node)}")
        elif isinstance(step, ReleaseReservations):
            code = code if reasons else "held"
            reasons.append(f"is kept for {text.join_list(step.holders)}, which waits longer")
        elif isinstance(step, WaitForEnd):
            reasons.append(f"is {_busy_with(option)} {text.until(step.at_s, now_s, clock)}")
    what = text.join_list(reasons)
    sentence = f"needs {text.describe_needs(request)}; {_subject(scenario, option)} {what}"
    return Explanation(code, sentence, option.steps)


def _subject(scenario: Scenario, option: _Option) -> str:
    """Returns the subject of the sentence, and how many others there are."""
    node, request = option.usage.node, scenario.request
    usages = [usage for usage in scenario.table.usages() if could_run(request, usage.node)]
    if not request.needs.gpus:
        if len(usages) == 1:
            return f"the only node that has it, {node.name},"
        return f"of the {len(usages)} nodes that have it none can take it now; the first, {node.name},"
    cards = [(usage, card) for usage in usages for card in fitting_cards(request, usage.node)]
    if request.needs.gpus > 1:
        if len(usages) == 1:
            return f"the only node that has them, {node.name},"
        return f"of the {len(usages)} nodes that have them none can take it now; the first, {node.name},"
    if len(cards) == 1:
        return f"the only card that has it, on {node.name},"
    conditions = Counter(_condition(scenario, usage, card) for usage, card in cards)
    if len(conditions) == 1:
        return f"all {len(cards)} cards that have it are {next(iter(conditions))}; the first, on {node.name},"
    parts = text.join_list([f"{number} {condition}" for condition, number in conditions.most_common()])
    return f"of the {len(cards)} cards that have it are {parts}; the first, on {node.name},"


def _condition(scenario: Scenario, usage: NodeUsage, card: Card) -> str:
    if usage.node.id in scenario.avoided:
        return "avoided"
    if card.fault:
        return "faulty"
    if usage.node.drained:
        return "drained"
    return (
        "held"
        if scenario.table.find_reservation(usage.node.id, card.uuid) not in (None, scenario.request.id)
        else "busy"
    )


def _busy_with(option: _Option) -> str:
    """Cards are what people expect to be busy; anything else is named."""
    on_cards = any(
        uuid in option.wait.cards for lease in option.wait.leases for uuid in lease.assignment.cards
    )
    return "busy" if on_cards or not option.wait.cards else "short of processor or memory"


def _faults(request: Request, node: Node) -> str:
    faults = sorted({card.fault for card in fitting_cards(request, node) if card.fault})
    many = sum(bool(card.fault) for card in fitting_cards(request, node)) > 1
    return f"{'unhealthy cards' if many else 'an unhealthy card'} ({', '.join(faults)})"


# Nothing could run it


def _too_large(scenario: Scenario) -> Explanation:
    table, request = scenario.table, scenario.request
    new = (AddNode(node_for(request)),)
    if not table.nodes:
        return Explanation("no_node", f"needs {text.describe_needs(request)}; there is no node yet", new)
    for demand in relaxations(scenario):
        possible = [c for c in demand if could_run_somewhere(c.apply(scenario).request, table.nodes)]
        if not possible:
            continue
        sentence = _why_not(request, possible[0].apply(scenario).request, table.nodes)
        now = next(((change,) for change in possible if places(scenario, (change,))), None)
        return Explanation("too_large", sentence, now or new, new if now else ())
    return Explanation("too_large", f"needs {text.describe_needs(request)}; no node comes near", new)


def _why_not(request: Request, could: Request, nodes: list[Node]) -> str:
    """`could` is the request with one demand lowered until a node could run it."""
    node = next(node for node in nodes if could_run(could, node))
    requested, found = request.needs, could.needs
    has = maximum = ""
    if found.vram_mib != requested.vram_mib:
        largest = max((card.memory_mib for one in nodes for card in one.cards), default=0)
        which = "no node" if largest < requested.vram_mib else "no node that would do otherwise"
        has, maximum = f"a card with {text.gib(requested.vram_mib)}", text.gib(found.vram_mib)
        return f"{which} has {has}; the largest is {maximum} on {node.name}"
    if found.gpus != requested.gpus:
        has, maximum = text.describe_needs(request), str(found.gpus)
    elif found.cpu_mhz != requested.cpu_mhz:
        has, maximum = f"{requested.cpu_mhz} MHz", f"{found.cpu_mhz} MHz"
    elif found.memory_mib != requested.memory_mib:
        has, maximum = f"{text.gib(requested.memory_mib)} of memory", text.gib(found.memory_mib)
    if has:
        return f"no node that would do otherwise has {has}; the most is {maximum} on {node.name}"
    if could.use is not request.use:
        kind = "whole cards" if request.use is CardUse.WHOLE else "shares of a card"
        needs = text.describe_needs(request)
        return f"needs {needs} as {kind}; no node gives that, {node.name} would the other way"
    return f"no card with {text.gib(requested.vram_mib)} is of the model and attributes asked for"


def node_for(request: Request) -> Node:
    """Returns a machine that would run it: what to add where nothing else helps."""
    needs = request.needs
    name = f"new-node-for-{request.id}"
    kind_attributes = {c.attribute: c.value for c in request.constraints if c.operator in ("=", ">=", "<=")}
    card = Card(
        uuid="",
        model=request.models[0] if request.models else "any",
        memory_mib=max(1024, needs.vram_mib),
        shares=request.shares,
        attributes=tuple(sorted(kind_attributes.items())),
    )
    return Node(
        id=name,
        name=name,
        cards=tuple(replace(card, uuid=f"new-card-{number}") for number in range(needs.gpus)),
        shared=request.use is CardUse.SHARED,
        cpu_mhz=needs.cpu_mhz,
        memory_mib=needs.memory_mib,
    )


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
