"""Why it waits: the sentence is true, and the change that it names does place the request."""

from __future__ import annotations

from dataclasses import replace

import pytest
from farms import any_farm, any_request, card, dice, node, request
from sentences import SentenceSnapshot

from farm.placement import BlockList, CardUse, Constraint, LeaseTable, Request
from farm.placement.changes import (
    AddNode,
    AnyModel,
    Change,
    ChangeUse,
    LowerNeed,
    ReleaseReservations,
    RepairCards,
    Unblock,
    Undrain,
    WaitForEnd,
)
from farm.placement.explain import Explanation, could_run, explain

NOW = 1_000_000.0


def clock(at_s: float) -> str:
    """Minutes from now."""
    return f"+{(at_s - NOW) / 60:.0f}"


def ask(request: Request, table: LeaseTable, blocks: BlockList | None = None) -> Explanation:
    return explain(request, table, blocks or BlockList(), NOW, clock=clock)


def as_text(text: Explanation) -> str:
    """Returns what a person reads."""
    return f"{text.sentence}\n{text.advice}"


def small_and_large(*, faulty: bool = False) -> list[object]:
    large = card("l", 24576, "RTX A5000", fault="xid 79" if faulty else "")
    return [node("gpu-1", card("s")), node("gpu-2", large)]


def busy(table: LeaseTable, name: str, minutes: float | None, vram_gib: float = 16) -> None:
    expected_s = None if minutes is None else minutes * 60
    assert table.grant(request(name, vram_gib, expected_s=expected_s), now_s=NOW) is not None


@pytest.mark.parametrize("seed", range(150))
def test_what_is_proposed_does_place_it_on_the_farm_itself(seed: int) -> None:
    chance = dice(seed)
    table, blocks = any_farm(chance, chance.choice((0, 1, 3, 6))), BlockList()
    names = [one.id for one in table.nodes]
    for step in range(chance.choice((5, 40))):
        table.grant(any_request(chance, f"r{step}"), now_s=NOW)
    for one in table.nodes:
        if chance.random() < 0.2:
            for _ in range(3):
                blocks.record_failure(one.id, "lips", NOW)
        if chance.random() < 0.1:
            table.reserve("elder", [(one.id, c.uuid) for c in one.cards])
    explained = 0
    for step in range(30):
        expected = any_request(chance, f"new{step}")
        if chance.random() < 0.2:
            expected = replace(expected, models=("RTX A5000",), constraints=(Constraint("nvlink", "=", 1),))
        text = ask(expected, table, blocks)
        avoided = blocks.nodes(expected.needs.engine, NOW)
        if table.find(expected, avoided) is not None:
            assert text.code == "fits" and text.change == ()
            continue
        explained += 1
        assert text.change and text.code != "fits"
        never = not any(could_run(expected, one) for one in table.nodes)
        assert (text.code in ("too_large", "no_node")) == never
        for way in (text.change, text.or_else):
            assert not way or _made_true(way, table, expected, avoided), (text, expected)
        assert "\n" not in text.sentence and text.advice
    assert [one.id for one in table.nodes] == names
    assert explained or table.nodes


def _made_true(way: tuple[Change, ...], table: LeaseTable, wanted: Request, avoided: frozenset[str]) -> bool:
    """Does what the words say, to a copy of the whole farm and without the code of the changes."""
    nodes = {one.id: one for one in table.nodes}
    gone: set[str] = set()
    release_reservations: set[str] = set()
    for change in way:
        match change:
            case WaitForEnd():
                gone |= set(change.lease_ids)
            case ReleaseReservations():
                release_reservations |= set(change.holders)
            case Unblock():
                avoided = avoided - {change.node_id}
            case RepairCards():
                old = nodes[change.node_id]
                nodes[old.id] = replace(old, cards=tuple(replace(c, fault="") for c in old.cards))
            case Undrain():
                nodes[change.node_id] = replace(nodes[change.node_id], drained=False)
            case LowerNeed():
                assert getattr(wanted.needs, change.name) > change.amount > 0
                wanted = replace(wanted, needs=replace(wanted.needs, **{change.name: change.amount}))
            case AnyModel():
                wanted = replace(wanted, models=(), constraints=())
            case ChangeUse():
                wanted = replace(wanted, use=change.use)
            case AddNode():
                nodes[change.node.id] = change.node
            case _:
                raise AssertionError(change)
    copy = LeaseTable(nodes.values(), (lease for lease in table.leases if lease.id not in gone))
    for key, holder in table.reservations.items():
        if holder not in release_reservations:
            copy.reserve(holder, [key])
    return copy.find(wanted, avoided) is not None


def test_the_only_card_that_is_large_enough_is_busy(snapshot: SentenceSnapshot) -> None:
    table = LeaseTable(small_and_large())
    busy(table, "old", 65)
    text = ask(request("r", 16), table)
    assert text.code == "busy"
    assert as_text(text) == snapshot("only_card_busy")


def test_of_several_busy_cards_the_first_to_be_free_is_named(snapshot: SentenceSnapshot) -> None:
    table = LeaseTable([node("gpu-1", card("a"), card("b")), node("gpu-2", card("c"))])
    for name, minutes in (("x", 30), ("y", 10), ("z", 20)):
        busy(table, name, minutes, 2)
    assert as_text(ask(request("r", 2), table)) == snapshot("all_cards_busy")


def test_nobody_pretends_to_know_an_end_that_nobody_knows(snapshot: SentenceSnapshot) -> None:
    table = LeaseTable(small_and_large())
    busy(table, "old", None)
    assert as_text(ask(request("r", 16), table)) == snapshot("unknown_end")
    table.set_expected_end("old", NOW - 60)
    assert as_text(ask(request("r", 16), table)) == snapshot("overdue")


def test_no_card_is_large_enough(snapshot: SentenceSnapshot) -> None:
    table = LeaseTable([node("gpu-1", card("l", 24576, "RTX A5000"))])
    text = ask(request("r", 40), table)
    assert as_text(text) == snapshot("card_too_small")
    busy(table, "old", 5)
    assert as_text(ask(request("r", 40), table)) == snapshot("card_too_small_and_busy")


def test_a_node_that_failed_is_avoided_until_its_time_is_over(snapshot: SentenceSnapshot) -> None:
    table, blocks = LeaseTable(small_and_large()), BlockList()
    for _ in range(3):
        blocks.record_failure("gpu-2", "portrait", NOW)
    text = ask(request("r", 16), table, blocks)
    assert text.code == "avoided"
    assert as_text(text) == snapshot("avoided")
    assert ask(request("r", 16, engine="lips"), table, blocks).code == "fits"


def test_an_unhealthy_card_is_told_from_a_busy_one(snapshot: SentenceSnapshot) -> None:
    text = ask(request("r", 16), LeaseTable(small_and_large(faulty=True)))
    assert text.code == "faulty"
    assert as_text(text) == snapshot("faulty")


def test_waiting_is_proposed_before_work_for_a_person(snapshot: SentenceSnapshot) -> None:
    table = LeaseTable([node("gpu-1", card("a")), node("gpu-2", card("b", fault="xid 79"))])
    busy(table, "old", 10, 2)
    text = ask(request("r", 2), table)
    assert text.code == "busy"
    assert as_text(text) == snapshot("busy_and_faulty")


def test_two_obstacles_on_one_node_are_both_told(snapshot: SentenceSnapshot) -> None:
    table, blocks = LeaseTable([replace(node("gpu-1", card("a")), drained=False)]), BlockList()
    busy(table, "old", 10, 2)
    for _ in range(3):
        blocks.record_failure("gpu-1", "portrait", NOW)
    text = ask(request("r", 2), table, blocks)
    assert as_text(text) == snapshot("avoided_and_busy")
    assert [type(step) for step in text.change] == [Unblock, WaitForEnd]


def test_a_drained_node_a_held_card_and_an_empty_farm_are_told(snapshot: SentenceSnapshot) -> None:
    assert ask(request("r"), LeaseTable()).code == "no_node"
    drained = LeaseTable([replace(node("gpu-1", card("a")), drained=True)])
    assert as_text(ask(request("r"), drained)) == snapshot("drained")
    held = LeaseTable([node("gpu-1", card("a"))])
    held.reserve("elder", [("gpu-1", "a")])
    assert as_text(ask(request("r"), held)) == snapshot("reserved")


def test_the_machine_can_be_what_is_short(snapshot: SentenceSnapshot) -> None:
    table = LeaseTable([node("gpu-1", card("a"), card("b"), cpu_mhz=3000)])
    assert table.grant(request("old", cpu_mhz=2500, expected_s=600), now_s=NOW) is not None
    assert as_text(ask(request("r"), table)) == snapshot("processor_busy")
    assert as_text(ask(request("r", cpu_mhz=4000), table)) == snapshot("processor_too_small")


def test_model_and_way_of_use_are_named_when_they_are_what_hinders(snapshot: SentenceSnapshot) -> None:
    table = LeaseTable(small_and_large())
    assert as_text(ask(replace(request("r", 4), models=("H200",)), table)) == snapshot("other_model")
    assert as_text(ask(request("r", 4, use=CardUse.SHARED), table)) == snapshot("no_shares")
    assert as_text(ask(request("r", 4, 2), table)) == snapshot("too_few_cards")
