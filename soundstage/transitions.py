"""Tables of the states of a row: which moves there are, and the error of any other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import TypeVar

from soundstage.errors import Conflict

State = TypeVar("State", bound=StrEnum)


class Transitions(dict[State, frozenset[State]]):
    """The states that may follow each state. One without a line in `moves` is terminal.

    `refusal` makes the error of a move from the first to the second state that the table does not hold.
    """

    def __init__(
        self,
        states: type[State],
        moves: Mapping[State, Collection[State]],
        refusal: Callable[[State, State], Conflict],
    ) -> None:
        super().__init__({state: frozenset(moves.get(state, ())) for state in states})
        self.refusal = refusal
        self.terminal = frozenset(state for state, following in self.items() if not following)

    def move(self, current: State, target: State) -> State:
        """Returns the target state. Raises Conflict where the table does not lead there."""
        if target not in self[current]:
            raise self.refusal(current, target)
        return target
