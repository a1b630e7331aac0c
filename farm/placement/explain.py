"""Why a request waits, in one sentence, and the one change that would place it. Called by the Nomad
adapter for `soundstage explain` and the API.

Nothing here is guessed: each change that is named has been made on a copy of the farm, and the search for
a place has been run on that copy with success.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from farm.placement import words
from farm.placement.blocklist import BlockList
from farm.placement.book import Book
from farm.placement.cards import Card, CardUse, Node, Request
from farm.placement.changes import AddNode, Change, EndOf, Forgive, Heal, LetGo, Undrain, World
from farm.placement.desk import Desk
from farm.placement.structure import could_run, could_run_somewhere, fitting_cards, relaxations
from farm.placement.waits import Wait, earliest_on

Code = Literal["fits", "busy", "held", "avoided", "faulty", "drained", "too_large", "no_node"]


@dataclass(frozen=True, slots=True)
class FarmState:
    """What placement looks at: the book, and who avoids which node."""

    book: Book
    blocks: BlockList

    def world(self, request: Request, now_s: float) -> World:
        return World(self.book, request, self.blocks.nodes(request.needs.engine, now_s))


@dataclass(frozen=True, slots=True)
class Explanation:
    """`change` are the steps that together place it (mostly one; none when it fits now), `or_else` a
    second way.
    """

    code: Code
    sentence: str
    change: tuple[Change, ...] = ()
    or_else: tuple[Change, ...] = ()

    @property
    def advice(self) -> str:
        """The change in words: `lower vram_mib to 24576, or add a card that is free`."""
        ways = [
            "; then ".join(change.words() for change in way) for way in (self.change, self.or_else) if way
        ]
        return ", or ".join(ways)


@dataclass(frozen=True, slots=True)
class _Way:
    """What would have to happen for it to run on one node."""

    desk: Desk
    steps: tuple[Change, ...]
    wait: Wait

    @property
    def ready_s(self) -> float:
        """When time alone would have done it; never where a person has to do something."""
        moments = [step.until_s for step in self.steps if isinstance(step, Forgive)]
        if any(isinstance(step, Heal | Undrain) for step in self.steps):
            return math.inf
        return max([*moments, self.wait.at_s])

    def cost(self) -> tuple[int, int, float, int, str]:
        hands = sum(isinstance(step, Heal | Undrain) for step in self.steps)
        held = sum(isinstance(step, LetGo) for step in self.steps)
        return (hands, held, self.ready_s, len(self.steps), self.desk.node.id)


def explain(
    request: Request, state: FarmState, now_s: float, *, clock: words.Clock | None = None
) -> Explanation:
    """Looks at every node: tens of milliseconds on a farm of thousands. `clock` shows times (default:
    local).
    """
    clock = clock or words.local_clock(now_s)
    world = state.world(request, now_s)
    spot = world.spot()
    if spot is not None:
        desk = state.book.desk(spot.node_id)
        return Explanation("fits", f"can start now on {desk.node.name if desk else spot.node_id}")
    best = min(_ways(world, state.blocks, now_s), key=_Way.cost, default=None)
    if best is not None and places(world, best.steps):
        return _obstructed(world, state.blocks, best, now_s, clock)
    return _too_large(world)


def places(world: World, steps: tuple[Change, ...]) -> bool:
    """Whether the request finds a place after these changes, made on a copy."""
    for step in steps:
        world = step.apply(world)
    return world.spot() is not None


def _ways(world: World, blocks: BlockList, now_s: float) -> Iterator[_Way]:
    for desk in world.book.desks():
        if could_run(world.request, desk.node):
            way = _way(world, desk, blocks, now_s)
            if way is not None:
                yield way


def _way(world: World, desk: Desk, blocks: BlockList, now_s: float) -> _Way | None:
    """The least that would make room on this node: first by time alone, then with holds let go, then with
    cards healed.
    """
    node, request = desk.node, world.request
    first: list[Change] = []
    if node.id in world.avoided:
        entry = blocks.avoided(node.id, request.needs.engine, now_s)
        first.append(Forgive(node.id, node.name, entry.until_s if entry else now_s))
    if node.drained:
        first.append(Undrain(node.id, node.name))
    if not first:
        wait = earliest_on(world.book, request, desk)
        if wait is not None:
            return _Way(desk, _ends(node, wait), wait)
    others = {holder for key, holder in world.book.holds.items() if key[0] == node.id} - {request.id}
    let_go: list[Change] = [LetGo(node.id, node.name, tuple(sorted(others)))] if others else []
    heal: list[Change] = [Heal(node.id, node.name)] if any(card.fault for card in node.cards) else []
    for more in _once([], let_go, heal, [*let_go, *heal]):
        changed = world
        for step in (*first, *more):
            changed = step.apply(changed)
        there = changed.book.desk(node.id) if first or more else desk
        wait = earliest_on(changed.book, request, there) if there is not None else None
        if wait is not None:
            return _Way(desk, (*first, *more, *_ends(node, wait)), wait)
    return None


def _once(*options: list[Change]) -> list[list[Change]]:
    return [option for number, option in enumerate(options) if option not in options[:number]]


def _ends(node: Node, wait: Wait) -> tuple[Change, ...]:
    if not wait.leases:
        return ()
    return (EndOf(node.id, node.name, tuple(lease.id for lease in wait.leases), wait.at_s),)


# Something could run it, and is in the way


def _obstructed(world: World, blocks: BlockList, way: _Way, now_s: float, clock: words.Clock) -> Explanation:
    node, request = way.desk.node, world.request
    said: list[str] = []
    code: Code = "busy"
    for step in way.steps:
        if isinstance(step, Forgive):
            code = "avoided"
            entry = blocks.avoided(node.id, request.needs.engine, now_s)
            times = words.count(entry.failures, "time", "times") if entry else "before"
            said.append(f"failed {times} with this engine and is avoided until {clock(step.until_s)}")
        elif isinstance(step, Undrain):
            code = "drained"
            said.append("is drained and takes no new work")
        elif isinstance(step, Heal):
            code = "faulty"
            said.append(f"has {_faults(request, node)}")
        elif isinstance(step, LetGo):
            code = code if said else "held"
            said.append(f"is kept for {words.listed(step.holders)}, which waits longer")
        elif isinstance(step, EndOf):
            said.append(f"is {_busy_with(way)} {words.until(step.at_s, now_s, clock)}")
    what = words.listed(said)
    sentence = f"needs {words.needs(request)}; {_subject(world, way)} {what}"
    return Explanation(code, sentence, way.steps)


def _subject(world: World, way: _Way) -> str:
    """Whom the sentence is about, and how many others there are."""
    node, request = way.desk.node, world.request
    desks = [desk for desk in world.book.desks() if could_run(request, desk.node)]
    if not request.needs.gpus:
        if len(desks) == 1:
            return f"the only node that has it, {node.name},"
        return f"of the {len(desks)} nodes that have it none can take it now; the first, {node.name},"
    cards = [(desk, card) for desk in desks for card in fitting_cards(request, desk.node)]
    if request.needs.gpus > 1:
        if len(desks) == 1:
            return f"the only node that has them, {node.name},"
        return f"of the {len(desks)} nodes that have them none can take it now; the first, {node.name},"
    if len(cards) == 1:
        return f"the only card that has it, on {node.name},"
    conditions = Counter(_condition(world, desk, card) for desk, card in cards)
    if len(conditions) == 1:
        return f"all {len(cards)} cards that have it are {next(iter(conditions))}; the first, on {node.name},"
    parts = words.listed([f"{number} {condition}" for condition, number in conditions.most_common()])
    return f"of the {len(cards)} cards that have it are {parts}; the first, on {node.name},"


def _condition(world: World, desk: Desk, card: Card) -> str:
    if desk.node.id in world.avoided:
        return "avoided"
    if card.fault:
        return "faulty"
    if desk.node.drained:
        return "drained"
    return "held" if world.book.holder(desk.node.id, card.uuid) not in (None, world.request.id) else "busy"


def _busy_with(way: _Way) -> str:
    """Cards are what people expect to be busy; anything else is named."""
    on_cards = any(uuid in way.wait.cards for lease in way.wait.leases for uuid in lease.spot.cards)
    return "busy" if on_cards or not way.wait.cards else "short of processor or memory"


def _faults(request: Request, node: Node) -> str:
    faults = sorted({card.fault for card in fitting_cards(request, node) if card.fault})
    many = sum(bool(card.fault) for card in fitting_cards(request, node)) > 1
    return f"{'unhealthy cards' if many else 'an unhealthy card'} ({', '.join(faults)})"


# Nothing could run it


def _too_large(world: World) -> Explanation:
    book, request = world.book, world.request
    new = (AddNode(node_for(request)),)
    if not book.nodes:
        return Explanation("no_node", f"needs {words.needs(request)}; there is no node yet", new)
    for demand in relaxations(world):
        possible = [c for c in demand if could_run_somewhere(c.apply(world).request, book.nodes)]
        if not possible:
            continue
        sentence = _why_not(request, possible[0].apply(world).request, book.nodes)
        now = next(((change,) for change in possible if places(world, (change,))), None)
        return Explanation("too_large", sentence, now or new, new if now else ())
    return Explanation("too_large", f"needs {words.needs(request)}; no node comes near", new)


def _why_not(request: Request, could: Request, nodes: list[Node]) -> str:
    """`could` is the request with one demand lowered until a node could run it."""
    node = next(node for node in nodes if could_run(could, node))
    wanted, found = request.needs, could.needs
    has = most = ""
    if found.vram_mib != wanted.vram_mib:
        largest = max((card.memory_mib for one in nodes for card in one.cards), default=0)
        which = "no node" if largest < wanted.vram_mib else "no node that would do otherwise"
        has, most = f"a card with {words.gib(wanted.vram_mib)}", words.gib(found.vram_mib)
        return f"{which} has {has}; the largest is {most} on {node.name}"
    if found.gpus != wanted.gpus:
        has, most = words.needs(request), str(found.gpus)
    elif found.cpu_mhz != wanted.cpu_mhz:
        has, most = f"{wanted.cpu_mhz} MHz", f"{found.cpu_mhz} MHz"
    elif found.memory_mib != wanted.memory_mib:
        has, most = f"{words.gib(wanted.memory_mib)} of memory", words.gib(found.memory_mib)
    if has:
        return f"no node that would do otherwise has {has}; the most is {most} on {node.name}"
    if could.use is not request.use:
        kind = "whole cards" if request.use is CardUse.WHOLE else "shares of a card"
        return f"needs {words.needs(request)} as {kind}; no node gives that, {node.name} would the other way"
    return f"no card with {words.gib(wanted.vram_mib)} is of the model and attributes asked for"


def node_for(request: Request) -> Node:
    """A machine that would run it: what to add where nothing else helps."""
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
