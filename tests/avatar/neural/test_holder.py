"""Networks are read once, share the card while there is room, and make room for each other."""

from __future__ import annotations

from avatar.engines.neural.holder import MIB, ModelHolder


class Weights:
    """Stands for networks of a weight; notes where they are."""

    def __init__(self, mib: int) -> None:
        self.mib, self.moves = mib, list[str]()

    def weigh(self) -> int:
        return self.mib * MIB

    def come(self) -> None:
        self.moves.append("come")

    def leave(self) -> None:
        self.moves.append("leave")


def test_what_is_held_is_not_read_again() -> None:
    holder = ModelHolder(lambda: None)
    first = holder.lend("a", lambda: Weights(100), 50)
    assert holder.lend("a", lambda: Weights(100), 50) is first
    assert (holder.loads, first.moves) == (["a"], [])


def test_while_there_is_room_all_stay_on_the_card() -> None:
    holder = ModelHolder(lambda: 1000 * MIB)
    for name in ("a", "b", "a", "b"):
        holder.lend(name, lambda: Weights(300), 200)
    assert (holder.loads, holder.on_card) == (["a", "b"], ("a", "b"))


def test_the_least_recently_used_makes_room_and_comes_back_without_being_read_again() -> None:
    holder = ModelHolder(lambda: 1000 * MIB)
    a = holder.lend("a", lambda: Weights(300), 100)
    b = holder.lend("b", lambda: Weights(300), 100)
    holder.lend("a", lambda: Weights(300), 100)
    holder.lend("c", lambda: Weights(300), 200)
    assert (a.moves, b.moves, holder.on_card) == ([], ["leave"], ("a", "c"))
    holder.lend("b", lambda: Weights(300), 200)
    assert (a.moves, b.moves) == (["leave"], ["leave", "come"])
    assert holder.loads == ["a", "b", "c"]


def test_what_works_beside_is_not_sent_away() -> None:
    holder = ModelHolder(lambda: 700 * MIB)
    a = holder.lend("a", lambda: Weights(300), 100)
    b = holder.lend("b", lambda: Weights(300), 100, beside=("a",))
    assert (a.moves, b.moves, holder.on_card) == ([], [], ("a", "b"))


def test_the_budget_is_asked_each_time_because_others_share_the_card() -> None:
    budget = 2000
    holder = ModelHolder(lambda: budget * MIB)
    a = holder.lend("a", lambda: Weights(300), 100)
    assert holder.fits(1500)
    budget = 500
    assert not holder.fits(1500)
    holder.lend("b", lambda: Weights(300), 100)
    assert a.moves == ["leave"]


def test_after_a_full_card_everything_is_forgotten() -> None:
    holder = ModelHolder(lambda: 1000 * MIB)
    holder.lend("a", lambda: Weights(300), 100)
    holder.clear()
    assert holder.on_card == ()
    holder.lend("a", lambda: Weights(300), 100)
    assert holder.loads == ["a", "a"]
