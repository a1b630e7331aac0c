"""Why it waits: the sentence is true, and the change that it names does place the request."""

from __future__ import annotations

from dataclasses import replace

import pytest
from farms import any_farm, any_request, card, dice, node, request

from farm.placement import BlockList, Book, CardUse, Constraint, Request
from farm.placement.changes import (
    AddNode,
    AnyModel,
    Change,
    EndOf,
    Forgive,
    Heal,
    LetGo,
    LowerTo,
    Undrain,
    UseAs,
)
from farm.placement.explain import Explanation, FarmState, explain
from farm.placement.structure import could_run

NOW = 1_000_000.0


def clock(at_s: float) -> str:
    """Minutes from now."""
    return f"+{(at_s - NOW) / 60:.0f}"


def ask(wanted: Request, book: Book, blocks: BlockList | None = None) -> Explanation:
    return explain(wanted, FarmState(book, blocks or BlockList()), NOW, clock=clock)


def small_and_large(*, faulty: bool = False) -> list[object]:
    large = card("l", 24576, "RTX A5000", fault="xid 79" if faulty else "")
    return [node("gpu-1", card("s")), node("gpu-2", large)]


def busy(book: Book, name: str, minutes: float | None, vram_gib: float = 16) -> None:
    expected_s = None if minutes is None else minutes * 60
    assert book.grant(request(name, vram_gib, expected_s=expected_s), now_s=NOW) is not None


@pytest.mark.parametrize("seed", range(150))
def test_what_is_proposed_does_place_it_on_the_farm_itself(seed: int) -> None:
    chance = dice(seed)
    book, blocks = any_farm(chance, chance.choice((0, 1, 3, 6))), BlockList()
    names = [one.id for one in book.nodes]
    for step in range(chance.choice((5, 40))):
        book.grant(any_request(chance, f"r{step}"), now_s=NOW)
    for one in book.nodes:
        if chance.random() < 0.2:
            for _ in range(3):
                blocks.failed(one.id, "lips", NOW)
        if chance.random() < 0.1:
            book.hold("elder", [(one.id, c.uuid) for c in one.cards])
    explained = 0
    for step in range(30):
        wanted = any_request(chance, f"new{step}")
        if chance.random() < 0.2:
            wanted = replace(wanted, models=("RTX A5000",), constraints=(Constraint("nvlink", "=", 1),))
        told = ask(wanted, book, blocks)
        avoided = blocks.nodes(wanted.needs.engine, NOW)
        if book.find(wanted, avoided) is not None:
            assert told.code == "fits" and told.change == ()
            continue
        explained += 1
        assert told.change and told.code != "fits"
        never = not any(could_run(wanted, one) for one in book.nodes)
        assert (told.code in ("too_large", "no_node")) == never
        for way in (told.change, told.or_else):
            assert not way or _made_true(way, book, wanted, avoided), (told, wanted)
        assert "\n" not in told.sentence and told.advice
    assert [one.id for one in book.nodes] == names
    assert explained or book.nodes


def _made_true(way: tuple[Change, ...], book: Book, wanted: Request, avoided: frozenset[str]) -> bool:
    """Does what the words say, to a copy of the whole farm and without the code of the changes."""
    nodes = {one.id: one for one in book.nodes}
    gone: set[str] = set()
    let_go: set[str] = set()
    for change in way:
        match change:
            case EndOf():
                gone |= set(change.lease_ids)
            case LetGo():
                let_go |= set(change.holders)
            case Forgive():
                avoided = avoided - {change.node_id}
            case Heal():
                old = nodes[change.node_id]
                nodes[old.id] = replace(old, cards=tuple(replace(c, fault="") for c in old.cards))
            case Undrain():
                nodes[change.node_id] = replace(nodes[change.node_id], drained=False)
            case LowerTo():
                assert getattr(wanted.needs, change.name) > change.amount > 0
                wanted = replace(wanted, needs=replace(wanted.needs, **{change.name: change.amount}))
            case AnyModel():
                wanted = replace(wanted, models=(), constraints=())
            case UseAs():
                wanted = replace(wanted, use=change.use)
            case AddNode():
                nodes[change.node.id] = change.node
            case _:
                raise AssertionError(change)
    copy = Book(nodes.values(), (lease for lease in book.leases if lease.id not in gone))
    for key, holder in book.holds.items():
        if holder not in let_go:
            copy.hold(holder, [key])
    return copy.find(wanted, avoided) is not None


def test_the_only_card_that_is_large_enough_is_busy() -> None:
    book = Book(small_and_large())
    busy(book, "old", 65)
    told = ask(request("r", 16), book)
    assert told.code == "busy"
    assert told.sentence == (
        "needs 16 GiB of GPU memory; the only card that has it, on gpu-2, is busy until about +65"
    )
    assert told.advice == "wait until old ends on gpu-2, or cancel it"


def test_of_several_busy_cards_the_first_to_be_free_is_named() -> None:
    book = Book([node("gpu-1", card("a"), card("b")), node("gpu-2", card("c"))])
    for name, minutes in (("x", 30), ("y", 10), ("z", 20)):
        busy(book, name, minutes, 2)
    assert ask(request("r", 2), book).sentence == (
        "needs 2 GiB of GPU memory; all 3 cards that have it are busy; "
        "the first, on gpu-1, is busy until about +10"
    )


def test_nobody_pretends_to_know_an_end_that_nobody_knows() -> None:
    book = Book(small_and_large())
    busy(book, "old", None)
    assert ask(request("r", 16), book).sentence.endswith("is busy for as long as nobody can say")
    book.expect("old", NOW - 60)
    assert ask(request("r", 16), book).sentence.endswith("is busy and should be free any moment")


def test_no_card_is_large_enough() -> None:
    book = Book([node("gpu-1", card("l", 24576, "RTX A5000"))])
    told = ask(request("r", 40), book)
    assert told.sentence == "no node has a card with 40 GiB; the largest is 24 GiB on gpu-1"
    assert told.advice == "lower vram_mib to 24576, or add a card that is free"
    busy(book, "old", 5)
    told = ask(request("r", 40), book)
    assert told.advice == "add a card that is free"


def test_a_node_that_failed_is_avoided_until_its_time_is_over() -> None:
    book, blocks = Book(small_and_large()), BlockList()
    for _ in range(3):
        blocks.failed("gpu-2", "portrait", NOW)
    told = ask(request("r", 16), book, blocks)
    assert told.code == "avoided"
    assert told.sentence == (
        "needs 16 GiB of GPU memory; the only card that has it, on gpu-2, "
        "failed 3 times with this engine and is avoided until +48"
    )
    assert ask(request("r", 16, engine="lips"), book, blocks).code == "fits"


def test_an_unhealthy_card_is_told_from_a_busy_one() -> None:
    told = ask(request("r", 16), Book(small_and_large(faulty=True)))
    assert told.code == "faulty"
    assert told.sentence.endswith("on gpu-2, has an unhealthy card (xid 79)")
    assert told.advice == "repair or replace the card on gpu-2"


def test_waiting_is_proposed_before_work_for_a_person() -> None:
    book = Book([node("gpu-1", card("a")), node("gpu-2", card("b", fault="xid 79"))])
    busy(book, "old", 10, 2)
    told = ask(request("r", 2), book)
    assert told.code == "busy"
    assert told.sentence == (
        "needs 2 GiB of GPU memory; of the 2 cards that have it are 1 busy and 1 faulty; "
        "the first, on gpu-1, is busy until about +10"
    )


def test_two_obstacles_on_one_node_are_both_told() -> None:
    book, blocks = Book([replace(node("gpu-1", card("a")), drained=False)]), BlockList()
    busy(book, "old", 10, 2)
    for _ in range(3):
        blocks.failed("gpu-1", "portrait", NOW)
    told = ask(request("r", 2), book, blocks)
    assert told.sentence.endswith(
        "failed 3 times with this engine and is avoided until +48 and is busy until about +10"
    )
    assert [type(step) for step in told.change] == [Forgive, EndOf]


def test_a_drained_node_a_held_card_and_an_empty_farm_are_told() -> None:
    assert ask(request("r"), Book()).code == "no_node"
    drained = Book([replace(node("gpu-1", card("a")), drained=True)])
    assert ask(request("r"), drained).sentence.endswith("on gpu-1, is drained and takes no new work")
    held = Book([node("gpu-1", card("a"))])
    held.hold("elder", [("gpu-1", "a")])
    assert ask(request("r"), held).sentence.endswith("on gpu-1, is kept for elder, which waits longer")


def test_the_machine_can_be_what_is_short() -> None:
    book = Book([node("gpu-1", card("a"), card("b"), cpu_mhz=3000)])
    assert book.grant(request("old", cpu_mhz=2500, expected_s=600), now_s=NOW) is not None
    told = ask(request("r"), book)
    assert "is short of processor or memory until about +10" in told.sentence
    told = ask(request("r", cpu_mhz=4000), book)
    assert told.sentence == ("no node that would do otherwise has 4000 MHz; the most is 3000 MHz on gpu-1")
    assert told.advice == "lower cpu_mhz to 500, or add a card that is free"


def test_model_and_way_of_use_are_named_when_they_are_what_hinders() -> None:
    book = Book(small_and_large())
    told = ask(replace(request("r", 4), models=("H200",)), book)
    assert told.sentence == "no card with 4 GiB is of the model and attributes asked for"
    assert told.advice.startswith("do not insist on the model H200")
    told = ask(request("r", 4, use=CardUse.SHARED), book)
    assert told.sentence.startswith("needs 4 GiB of GPU memory as shares of a card; no node gives that")
    assert told.advice.startswith("allow both shares and whole cards")
    told = ask(request("r", 4, 2), book)
    assert told.sentence.endswith("has 2 GPUs with 4 GiB each; the most is 1 on gpu-1")
