"""Changes to a farm or a request, as data that can be said in words and tried on a copy; made by
`explain`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from farm.placement.book import Book
from farm.placement.cards import CardUse, Node, Request
from farm.placement.leases import Spot
from farm.placement.words import any_of, gib, listed


@dataclass(frozen=True, slots=True)
class World:
    """What a placement depends on. Changes make another one and leave this one alone."""

    book: Book
    request: Request
    avoided: frozenset[str] = frozenset()

    def spot(self) -> Spot | None:
        return self.book.find(self.request, self.avoided)


class Change(Protocol):
    def words(self) -> str:
        """What to do, as the end of a sentence."""

    def apply(self, world: World) -> World: ...


@dataclass(frozen=True, slots=True)
class EndOf:
    """Waiting for (or cancelling) what runs there."""

    node_id: str
    node_name: str
    lease_ids: tuple[str, ...]
    at_s: float

    def words(self) -> str:
        what = f"{self.lease_ids[0]} ends" if len(self.lease_ids) == 1 else f"{len(self.lease_ids)} tasks end"
        return (
            f"wait until {what} on {self.node_name}, or cancel {'it' if len(self.lease_ids) == 1 else 'them'}"
        )

    def apply(self, world: World) -> World:
        book = world.book.part([self.node_id])
        for lease_id in self.lease_ids:
            book.release(lease_id)
        return replace(world, book=book)


@dataclass(frozen=True, slots=True)
class LetGo:
    """Cards of a node that are kept for others, who have waited longer."""

    node_id: str
    node_name: str
    holders: tuple[str, ...]

    def words(self) -> str:
        first = f"wait until {listed(self.holders)} can run on {self.node_name}"
        return f"{first}, or cancel {'it' if len(self.holders) == 1 else 'them'}"

    def apply(self, world: World) -> World:
        book = world.book.part([self.node_id])
        for holder in self.holders:
            book.let_go(holder)
        return replace(world, book=book)


@dataclass(frozen=True, slots=True)
class Forgive:
    """A node off the block-list of an engine: now by hand, or when its time is over."""

    node_id: str
    node_name: str
    until_s: float

    def words(self) -> str:
        return f"wait, or take {self.node_name} off the block-list"

    def apply(self, world: World) -> World:
        return replace(world, book=world.book.part([self.node_id]), avoided=world.avoided - {self.node_id})


@dataclass(frozen=True, slots=True)
class Heal:
    """Faulty cards of a node made whole."""

    node_id: str
    node_name: str

    def words(self) -> str:
        return f"repair or replace the card on {self.node_name}"

    def apply(self, world: World) -> World:
        return replace(world, book=_with_node(world.book, self.node_id, healed=True))


@dataclass(frozen=True, slots=True)
class Undrain:
    node_id: str
    node_name: str

    def words(self) -> str:
        return f"let {self.node_name} take work again"

    def apply(self, world: World) -> World:
        return replace(world, book=_with_node(world.book, self.node_id, healed=False))


@dataclass(frozen=True, slots=True)
class LowerTo:
    """One need made smaller: `name` is a field of Needs."""

    name: Literal["vram_mib", "gpus", "cpu_mhz", "memory_mib"]
    amount: int

    def words(self) -> str:
        return f"lower {self.name} to {self.amount}"

    def apply(self, world: World) -> World:
        needs = world.request.needs
        match self.name:
            case "vram_mib":
                needs = replace(needs, vram_mib=self.amount)
            case "gpus":
                needs = replace(needs, gpus=self.amount)
            case "cpu_mhz":
                needs = replace(needs, cpu_mhz=self.amount)
            case "memory_mib":
                needs = replace(needs, memory_mib=self.amount)
        return replace(world, request=replace(world.request, needs=needs))


@dataclass(frozen=True, slots=True)
class AnyModel:
    """No demands on model and attributes."""

    request: Request

    def words(self) -> str:
        model = f" {any_of(self.request.models)}" if self.request.models else ""
        return f"do not insist on the model{model} and its attributes"

    def apply(self, world: World) -> World:
        return replace(world, request=replace(world.request, models=(), constraints=()))


@dataclass(frozen=True, slots=True)
class UseAs:
    """A whole card instead of shares, or shares instead of a whole card."""

    use: CardUse

    def words(self) -> str:
        return {
            CardUse.WHOLE: "ask for whole cards",
            CardUse.SHARED: "ask for shares of a card",
            CardUse.EITHER: "allow both shares and whole cards",
        }[self.use]

    def apply(self, world: World) -> World:
        return replace(world, request=replace(world.request, use=self.use))


@dataclass(frozen=True, slots=True)
class AddNode:
    """One more machine; always helps."""

    node: Node

    def words(self) -> str:
        if not self.node.cards:
            return f"add a node with {self.node.cpu_mhz} MHz and {gib(self.node.memory_mib)} of memory"
        number = len(self.node.cards)
        return f"add {'a card' if number == 1 else f'a node with {number} cards'} that is free"

    def apply(self, world: World) -> World:
        return replace(world, book=Book([self.node]))


def _with_node(book: Book, node_id: str, *, healed: bool) -> Book:
    part = book.part([node_id])
    for node in part.nodes:
        if healed:
            part.put_node(replace(node, cards=tuple(replace(card, fault="") for card in node.cards)))
        else:
            part.put_node(replace(node, drained=False))
    return part
