"""The lease table: best fit, never more than there is, and nothing lost over a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from farms import (
    accounts,
    any_card,
    any_farm,
    any_node,
    any_request,
    audit,
    card,
    dice,
    node,
    request,
    rights,
)

from farm.needs import Needs
from farm.placement import Assignment, CardUse, Constraint, Lease, LeaseTable, Request
from soundstage.errors import Conflict, Invalid


@pytest.mark.parametrize("seed", range(60))
def test_no_card_and_no_machine_is_ever_over_committed_and_no_lease_is_lost(seed: int) -> None:
    chance = dice(seed)
    table = any_farm(chance)
    granted: dict[str, Lease] = {}
    for step in range(200):
        action = chance.random()
        if action < 0.6:
            expected = any_request(chance, f"r{step}")
            avoid = {chance.choice(table.nodes).id}
            lease = table.grant(expected, avoid, now_s=step)
            if lease is not None:
                assert lease.assignment.node_id not in avoid
                rights(table, lease, expected)
                granted[lease.id] = lease
        elif action < 0.8 and granted:
            name = chance.choice(list(granted))
            assert table.release(name) == granted.pop(name)
            assert table.release(name) is None
        else:
            # Health and drain change under running work; sizes do not.
            old = chance.choice(table.nodes)
            cards = tuple(replace(c, fault=chance.choice(("", "", "xid 79"))) for c in old.cards)
            table.upsert_node(replace(old, cards=cards, drained=chance.random() < 0.2))
        audit(table)
        assert {lease.id: lease for lease in table.leases} == granted
    assert accounts(LeaseTable(table.nodes, table.leases)) == accounts(table)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_refused_fits_nowhere(seed: int) -> None:
    chance = dice(seed)
    table = any_farm(chance)
    for step in range(120):
        expected = any_request(chance, f"r{step}")
        fits = any(_fits_by_trying(table, expected, assignment) for assignment in _all_spots(table, expected))
        assert (table.grant(expected) is not None) == fits


def _all_spots(table: LeaseTable, request: Request) -> list[Assignment]:
    spots = []
    for usage in table.usages():
        names = [one.uuid for one in usage.node.cards]
        if request.needs.gpus == 0:
            spots.append(Assignment(usage.node.id))
        elif usage.node.shared and request.may_share:
            spots += [Assignment(usage.node.id, (name,), request.shares) for name in names]
        elif not usage.node.shared and request.may_take_whole:
            if request.needs.gpus == 1:
                spots += [Assignment(usage.node.id, (name,)) for name in names]
            else:
                spots += [Assignment(usage.node.id, (a, b)) for a in names for b in names if a < b]
    return spots


def _fits_by_trying(table: LeaseTable, request: Request, assignment: Assignment) -> bool:
    """A second opinion that shares no code with the search."""
    usage = next(usage for usage in table.usages() if usage.node.id == assignment.node_id)
    here = [lease for lease in table.leases if lease.assignment.node_id == assignment.node_id]
    cards = [one for one in usage.node.cards if one.uuid in assignment.cards]
    held = {
        c.uuid: sum(le.assignment.shares or 1 for le in here if c.uuid in le.assignment.cards) for c in cards
    }
    return (
        not usage.node.drained
        and sum(le.cpu_mhz for le in here) + request.needs.cpu_mhz <= usage.node.cpu_mhz
        and sum(le.memory_mib for le in here) + request.needs.memory_mib <= usage.node.memory_mib
        and all(not c.fault and c.memory_mib >= request.needs.vram_mib for c in cards)
        and len({(c.model, c.memory_mib) for c in cards}) <= 1
        and all(
            held[c.uuid] + (assignment.shares or 1) <= (c.shares if assignment.shares else 1) for c in cards
        )
    )


def test_speech_and_lips_share_an_eight_gib_card_and_a_third_waits() -> None:
    table = LeaseTable([node("g1", card("a"), shared=True)])
    speech, lips = table.grant(request("speech", 2)), table.grant(request("lips", 5))
    assert speech is not None and lips is not None
    assert (speech.assignment, lips.assignment) == (Assignment("g1", ("a",), 2), Assignment("g1", ("a",), 5))
    assert table.grant(request("third", 3)) is None
    table.release("speech")
    assert table.grant(request("third", 2)) is not None


def test_requests_are_packed_so_that_four_which_fit_exactly_all_run() -> None:
    cards = [replace(card(name), shares=8) for name in ("a", "b")]
    table = LeaseTable([node("g1", *cards, shared=True)])
    assert all(table.grant(request(f"r{gib}{n}", gib)) for n in (1, 2) for gib in (3, 5))


def test_shares_of_one_segment_never_lie_on_two_cards() -> None:
    table = LeaseTable([node("g1", card("a"), card("b"), shared=True)])
    assert table.grant(request("big", 12)) is None


def test_whole_cards_come_from_whole_card_nodes_and_shares_from_shared_ones() -> None:
    table = LeaseTable([node("whole", card("a")), node("parts", card("b"), shared=True)])
    whole = table.grant(request("w", use=CardUse.WHOLE))
    shared = table.grant(request("s", use=CardUse.SHARED))
    assert whole is not None and whole.assignment == Assignment("whole", ("a",))
    assert shared is not None and shared.assignment.node_id == "parts"
    assert table.grant(request("w2", use=CardUse.WHOLE)) is None


def test_the_smallest_card_that_is_enough_is_taken_whole() -> None:
    table = LeaseTable([node("large", card("a", 24576, "RTX A5000")), node("small", card("b"))])
    lease = table.grant(request("r", 6))
    assert lease is not None and lease.assignment.node_id == "small"


def test_several_cards_of_a_request_are_of_one_kind_on_one_node() -> None:
    mixed = node("mixed", card("a"), card("b", 24576, "RTX A5000"))
    table = LeaseTable([mixed, node("pair", card("c"), card("d"))])
    lease = table.grant(request("two", 4, 2))
    assert lease is not None and lease.assignment == Assignment("pair", ("c", "d"))


def test_work_without_cards_leaves_the_processors_of_gpu_nodes_alone_while_it_can() -> None:
    table = LeaseTable([node("gpu", card("a"), cpu_mhz=1000), node("plain", cpu_mhz=1000)])
    first, second = table.grant(request("one", gpus=0)), table.grant(request("two", gpus=0))
    assert first is not None and first.assignment == Assignment("plain")
    assert second is not None and second.assignment == Assignment("gpu")


def test_a_model_or_an_attribute_can_be_demanded() -> None:
    fast = replace(card("b", 24576, "RTX A5000"), attributes=(("cores_clock", 2000), ("driver", "550")))
    table = LeaseTable([node("n1", card("a")), node("n2", fast)])

    def assignment(**changes: object) -> Assignment | None:
        return table.find(replace(request("r"), **changes))  # type: ignore[arg-type]

    assert assignment(models=("RTX A5000",)) == Assignment("n2", ("b",))
    assert assignment(models=("H200",)) is None
    assert assignment(constraints=(Constraint("cores_clock", ">=", 1900),)) == Assignment("n2", ("b",))
    assert assignment(constraints=(Constraint("cores_clock", "<=", 1900),)) is None
    assert assignment(constraints=(Constraint("driver", "=", "550"),)) == Assignment("n2", ("b",))
    assert assignment(constraints=(Constraint("driver", ">=", "540"),)) is None


def test_a_card_that_fails_keeps_its_leases_until_they_are_released_and_takes_no_new_ones() -> None:
    table = LeaseTable([node("g1", card("a"), shared=True)])
    lease = table.grant(request("r"))
    table.upsert_node(node("g1", card("a", fault="fell off the bus"), shared=True))
    assert table.find_stranded() == [lease]
    assert table.grant(request("next")) is None
    table.upsert_node(node("g1", shared=True))
    assert table.find_stranded() == [lease]
    table.upsert_node(node("g1", card("a"), shared=True))
    assert table.find_stranded() == []
    free = table.find(request("rest", 5))
    assert free is not None and table.find(request("more", 6)) is None


def test_a_lost_node_gives_up_its_leases_and_its_holds() -> None:
    table = LeaseTable([node("g1", card("a"))])
    table.grant(request("r"))
    table.reserve("next", [("g1", "a")])
    table.remove_node("g1")
    assert table.leases == [] and table.reservations == {}
    table.upsert_node(node("g1", card("a")))
    assert table.grant(request("r")) is not None


def test_the_same_id_keeps_its_first_lease() -> None:
    table = LeaseTable([node("g1", card("a"), card("b"))])
    assert table.grant(request("r")) == table.grant(request("r"))
    assert len(table.leases) == 1
    with pytest.raises(Conflict, match="lease"):
        table.restore(table.leases[0])


def test_the_expected_end_of_a_lease_follows_its_progress() -> None:
    table = LeaseTable([node("g1", card("a"))])
    table.grant(request("kept"), now_s=0)
    table.set_expected_end("kept", 300)
    table.set_expected_end("gone", 300)
    assert [(lease.id, lease.expected_end_s) for lease in table.leases] == [("kept", 300)]


def test_a_held_card_is_for_its_holder_only() -> None:
    table = LeaseTable([node("g1", card("a"), shared=True)])
    table.reserve("old", [("g1", "a")])
    assert table.grant(request("new")) is None
    assert table.grant(request("old", 6)) is not None
    assert table.reservations == {}
    assert table.grant(request("new", 1)) is not None


@pytest.mark.parametrize("seed", range(30))
def test_after_a_restart_the_book_is_rebuilt_from_what_runs(seed: int) -> None:
    chance = dice(seed)
    before = any_farm(chance)
    for step in range(40):
        before.grant(any_request(chance, f"r{step}"))
    after = LeaseTable(before.nodes)
    leases = before.leases
    chance.shuffle(leases)
    for _ in range(2):
        after.reconcile(leases)
        assert accounts(after) == accounts(before)
    for step in range(40):
        after.grant(any_request(chance, f"s{step}"))
        audit(after)


def test_the_book_follows_where_nomad_put_a_segment_and_forgets_what_ended() -> None:
    table = LeaseTable([node("g1", card("a"), card("b"), shared=True)])
    requested = table.grant(request("moved", 6, owner="video"), now_s=5)
    table.grant(request("ended", 1))
    table.grant(request("pending", 5))
    assert requested is not None
    real = replace(requested, owner="", assignment=replace(requested.assignment, cards=("b",)))
    stranger = Lease("by-hand", "", "?", Assignment("g1", ("a",), 2), 100, 100)
    table.reconcile([real, stranger], pending={"pending"})
    moved = replace(requested, assignment=real.assignment)
    assert {lease.id for lease in table.leases} == {"moved", "by-hand", "pending"}
    assert {stranger, moved} <= set(table.leases)


def test_more_taken_by_strangers_than_there_is_leaves_nothing_and_breaks_nothing() -> None:
    table = LeaseTable([node("g1", card("a"), shared=True, cpu_mhz=1000)])
    for name in ("one", "two"):
        table.restore(Lease(name, "", "?", Assignment("g1", ("a",), 5), 800, 100))
    assert table.grant(request("r", 1)) is None
    table.release("one")
    assert table.grant(request("r", 1, cpu_mhz=200)) is not None
    audit(table)


def test_a_subset_of_a_lease_table_is_a_copy() -> None:
    chance = dice(7)
    table = any_farm(chance)
    for step in range(30):
        table.grant(any_request(chance, f"r{step}"))
    table.reserve("someone", [("n1", one.uuid) for one in table.nodes[1].cards])
    before = accounts(table)
    part = table.subset([one.id for one in table.nodes])
    assert accounts(part) == before and part.reservations == table.reservations
    for lease in part.leases:
        part.release(lease.id)
    assert accounts(table) == before
    assert [one.id for one in table.subset(["n2", "unknown"]).nodes] == ["n2"]


def test_impossible_needs_are_refused_by_name() -> None:
    with pytest.raises(Invalid, match="below zero"):
        Request("r", "r", Needs(vram_mib=-1))
    with pytest.raises(Invalid, match="one card"):
        request("r", gpus=2, use=CardUse.SHARED)
    with pytest.raises(Invalid, match="same uuid"):
        node("g1", card("a"), card("a"))


def test_random_nodes_of_these_tests_hold_what_they_should_cover() -> None:
    chance = dice(1)
    nodes = [any_node(chance, f"n{number}") for number in range(200)]
    assert {one.shared for one in nodes} == {True, False} == {one.drained for one in nodes}
    assert {len(one.cards) for one in nodes} == {0, 1, 2, 4}
    assert any_card(chance, "x").uuid == "x"
