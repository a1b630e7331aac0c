"""The queue: fair between renders, nobody starves, and only what can run gets out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from farms import any_farm, any_request, audit, card, dice, node, request, rights

from farm.placement import CardUse, FairQueue, Lease, LeaseTable, QueueRules, Request


def one_card_farm(cards: int = 1) -> LeaseTable:
    return LeaseTable([node("g1", *(card(f"c{n}") for n in range(cards)))])


def order(line: FairQueue, table: LeaseTable) -> list[str]:
    """Runs everything through, as many at once as there are cards."""
    ran = []
    while leases := line.admit(table, 0):
        for lease in leases:
            ran.append(lease.id)
            table.release(lease.id)
    return ran


def test_equal_requests_run_in_the_order_in_which_they_came() -> None:
    line, table = FairQueue(), one_card_farm()
    for name in "abcd":
        line.push(request(name), 0)
    assert [line.ahead_of(name) for name in "abcd"] == [0, 1, 2, 3]
    assert [one.id for one in line.in_order()] == list("abcd")
    assert order(line, table) == list("abcd")


def test_renders_take_turns_whatever_their_length() -> None:
    line, table = FairQueue(), one_card_farm()
    for number in range(100):
        line.push(request(f"long{number}", owner="long"), 0)
    for number in range(3):
        line.push(request(f"short{number}", owner="short"), 1)
    assert order(line, table)[:7] == ["long0", "short0", "long1", "short1", "long2", "short2", "long3"]


def test_a_render_that_used_an_idle_farm_is_not_punished_for_it() -> None:
    line, table = FairQueue(), one_card_farm()
    for number in range(50):
        line.push(request(f"a{number}", owner="a"), 0)
    for _ in range(40):
        for lease in line.admit(table, 0):
            table.release(lease.id)
    for number in range(5):
        line.push(request(f"b{number}", owner="b"), 0)
    assert order(line, table)[:6] == ["a40", "b0", "a41", "b1", "a42", "b2"]


def test_another_priority_moves_all_that_waits_of_a_render() -> None:
    line, table = FairQueue(), one_card_farm()
    for number in range(20):
        line.push(request(f"a{number}", owner="a"), 0)
    for number in range(4):
        line.push(request(f"b{number}", owner="b"), 0)
    line.set_priority([f"b{number}" for number in range(4)] + ["nothing"], 40)
    # Sixteen turns of theirs are one of the others.
    assert order(line, table)[:6] == ["b0", "b1", "b2", "b3", "a0", "a1"]
    assert len(line) == 0


def test_a_lower_priority_lets_others_pass_and_later_ones_queue_behind() -> None:
    line, table = FairQueue(), one_card_farm()
    for number in range(2):
        line.push(request(f"a{number}", owner="a"), 0)
        line.push(request(f"b{number}", owner="b"), 0)
    line.set_priority(["a0", "a1"], -20)
    line.push(request("a2", owner="a"), 0, priority=-20)
    assert order(line, table) == ["b0", "b1", "a0", "a1", "a2"]


def test_a_higher_priority_runs_sooner_and_ten_points_count_double() -> None:
    line, table = FairQueue(), one_card_farm()
    for number in range(30):
        line.push(request(f"low{number}", owner="low"), 0, priority=0)
        line.push(request(f"high{number}", owner="high"), 0, priority=10)
    first = order(line, table)[:30]
    assert first[0] == "high0"
    assert sum(name.startswith("high") for name in first) == 20


def test_low_priority_does_not_starve_under_an_endless_stream_of_high() -> None:
    line, table = FairQueue(), one_card_farm()
    line.push(request("low"), 0, priority=0)
    ran = []
    for step in range(100):
        line.push(request(f"high{step}"), step, priority=50)
        for lease in line.admit(table, step):
            ran.append(lease.id)
            table.release(lease.id)
    assert "low" in ran[:40]


def test_whoever_cannot_run_holds_up_only_those_that_need_the_same() -> None:
    line, table = FairQueue(), one_card_farm(2)
    line.push(request("large", 20), 0)
    line.push(request("large2", 20), 0)
    line.push(request("small"), 0)
    assert [lease.id for lease in line.admit(table, 0)] == ["small"]
    assert "large" in line and len(line) == 2
    table.upsert_node(node("g2", card("big", 24576, "RTX A5000")))
    assert [lease.id for lease in line.admit(table, 0)] == ["large"]


def test_a_large_request_is_not_overtaken_for_ever_by_small_ones() -> None:
    table = LeaseTable([node("g1", card("a"), shared=True)])
    line = FairQueue(QueueRules(reserve_after_s=30))
    ends: dict[str, float] = {}
    line.push(request("large", 7, use=CardUse.SHARED), 0)
    ran_at = None
    busy = table.grant(request("first", 2, expected_s=10))
    assert busy is not None
    ends["first"] = 10
    for now_s in range(300):
        for name in [name for name, end in ends.items() if end <= now_s]:
            table.release(name)
            del ends[name]
        if now_s % 3 == 0:
            line.push(request(f"small{now_s}", 2, expected_s=10), now_s)
        for lease in line.admit(table, now_s):
            ends[lease.id] = now_s + 10
            if lease.id == "large":
                ran_at = now_s
        audit(table)
        if ran_at is not None:
            break
    # Nothing may start on the card after 30 s, and what started before has ended 10 s later.
    assert ran_at is not None and 30 <= ran_at <= 41


def test_a_hold_does_its_work_behind_an_equal_request_that_came_later_with_more_priority() -> None:
    table = one_card_farm()
    line = FairQueue(QueueRules(reserve_after_s=10))
    assert table.grant(request("running", expected_s=100)) is not None
    line.push(request("patient"), 0)
    assert line.admit(table, 11) == []
    assert table.reservations
    line.push(request("hasty"), 11, priority=90)
    assert line.ahead_of("patient") == 1
    table.release("running")
    assert [lease.id for lease in line.admit(table, 12)] == ["patient"]
    assert table.reservations == {}
    table.release("patient")
    assert [lease.id for lease in line.admit(table, 13)] == ["hasty"]


def test_a_hold_is_let_go_when_its_card_fails_its_node_is_lost_or_its_request_is_cancelled() -> None:
    for failure in ("fault", "lost", "avoided", "cancelled"):
        table = LeaseTable([node("g1", card("a")), node("g2", card("b"))])
        line = FairQueue(QueueRules(reserve_after_s=10))
        assert table.grant(request("one", expected_s=50)) and table.grant(request("two", expected_s=99))
        line.push(request("patient"), 0)
        line.admit(table, 11)
        assert set(table.reservations) == {("g1", ""), ("g1", "a")}
        avoided: frozenset[str] = frozenset()
        if failure == "fault":
            table.upsert_node(node("g1", card("a", fault="xid 79")))
        elif failure == "lost":
            table.remove_node("g1")
        elif failure == "avoided":
            avoided = frozenset({"g1"})
        else:
            line.remove("patient", table)
        line.admit(table, 12, lambda engine, avoided=avoided: avoided)  # type: ignore[misc]
        expected = set() if failure == "cancelled" else {("g2", ""), ("g2", "b")}
        assert set(table.reservations) == expected, failure


def test_a_machine_that_is_short_of_processor_is_held_as_a_whole() -> None:
    table = LeaseTable([node("g1", card("a"), card("b"), cpu_mhz=4000)])
    line = FairQueue(QueueRules(reserve_after_s=10))
    assert table.grant(request("old", gpus=0, cpu_mhz=2000, expected_s=20))
    line.push(request("wide", cpu_mhz=4000), 0)
    line.admit(table, 11)
    assert set(table.reservations) == {("g1", ""), ("g1", "a"), ("g1", "b")}
    line.push(request("cpu", gpus=0), 12)
    line.push(request("card"), 12)
    assert line.admit(table, 12) == []
    table.release("old")
    assert [lease.id for lease in line.admit(table, 20)] == ["wide"]


def test_a_node_off_the_block_list_is_looked_at_again() -> None:
    line, table = FairQueue(), one_card_farm()
    line.push(request("r"), 0)
    assert line.admit(table, 0, lambda engine: frozenset({"g1"})) == []
    assert [lease.id for lease in line.admit(table, 1, lambda engine: frozenset())] == ["r"]


def test_only_as_many_get_out_as_are_asked_for() -> None:
    line, table = FairQueue(), one_card_farm(4)
    for name in "abcd":
        line.push(request(name), 0)
    assert len(line.admit(table, 0, limit=3)) == 3
    assert line.admit(table, 0, limit=0) == []
    assert len(line.admit(table, 0)) == 1


def test_the_same_id_twice_is_one_request_and_a_removed_one_never_runs() -> None:
    line, table = FairQueue(), one_card_farm(2)
    line.push(request("a"), 0)
    line.push(request("a"), 5)
    line.push(request("b"), 0)
    assert "a" in line and len(line) == 2
    assert line.remove("a") and not line.remove("a")
    assert "a" not in line
    assert order(line, table) == ["b"]


@pytest.mark.parametrize("seed", range(40))
def test_everything_that_can_run_runs_once_and_nothing_over_commits(seed: int) -> None:
    chance = dice(seed)
    table = any_farm(chance)
    line = FairQueue(QueueRules(reserve_after_s=20, max_reservations=2))
    requested: dict[str, Request] = {}
    running: dict[str, float] = {}
    ran: list[str] = []
    empty = LeaseTable([replace(one, drained=False) for one in table.nodes])
    table = LeaseTable(empty.nodes)

    def take(leases: list[Lease], now_s: float) -> None:
        for lease in leases:
            rights(table, lease, requested[lease.id])
            running[lease.id] = now_s + chance.choice((5, 15))
            ran.append(lease.id)

    for now_s in range(600):
        if now_s < 100:
            expected = replace(any_request(chance, f"r{now_s}"), expected_s=chance.choice((None, 10.0)))
            if empty.find(expected) is not None:
                requested[expected.id] = expected
                line.push(expected, now_s, chance.choice((-20, 0, 0, 30)))
        for name in [name for name, end_s in running.items() if end_s <= now_s]:
            del running[name]
            assert table.release(name) is not None
        take(line.admit(table, now_s), now_s)
        audit(table)
    assert sorted(ran) == sorted(requested)
    assert len(line) == 0 and table.reservations == {} and table.leases == []
