"""People who make projects with consecutive numbers as titles, and an action that is repeated, while a drill
goes on: afterwards each number that a studio has acknowledged can be looked for; for drills.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count, pairwise
from types import TracebackType

from control_machines_in_lab import Studio, query
from farm_in_lab import LabFarm
from waiting import eventually

PAUSE_S = 0.25
_CODE = re.compile(r'"code": ?"([\w.]+)|(curl: \(\d+\))')
ANSWER_S = 15
"""So long a writer waits for an answer; the number then counts as refused, and is not tried again."""


@dataclass
class Written:
    """Holds the numbers that one writer stored, with the moments of the answers, and those refused."""

    acknowledged: dict[int, float]
    refused: dict[int, str]
    ended_s: float = 0.0

    def longest_pause_s(self) -> float:
        """Returns the longest time between two acknowledged numbers, or from the last one to the end."""
        moments = [*self.acknowledged.values(), self.ended_s]
        return max((late - early for early, late in pairwise(moments)), default=0.0)


class NumberedWriters:
    """One writer at each of some machines with a studio, from entry to exit."""

    def __init__(self, farm: LabFarm, drill: str, machines: Iterable[str]) -> None:
        """`drill`: begins each title, so that drills do not count each other's."""
        self._farm, self._drill = farm, drill
        self.by_machine = {machine: Written({}, {}) for machine in machines}
        self._numbers = count(1)
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(machine,), name=f"writer at {machine}", daemon=True)
            for machine in self.by_machine
        ]

    def __enter__(self) -> NumberedWriters:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    @property
    def acknowledged(self) -> set[int]:
        return {number for one in self.by_machine.values() for number in one.acknowledged}

    def pauses(self) -> str:
        """Says how long no number was stored by each machine, and what the numbers came to."""
        found = [
            f"{one.longest_pause_s():.1f} s by {machine} ({len(one.acknowledged)} stored,"
            f" refused: {dict(Counter(one.refused.values())) or 'none'})"
            for machine, one in self.by_machine.items()
        ]
        return "no number was stored for " + ", ".join(found)

    def losses(self, on: str) -> list[int]:
        """Returns the acknowledged numbers that are not exactly once in the database of a machine, and those
        that are there twice or that nobody has written.
        """
        titles = [title for (title,) in query(self._farm, "SELECT title FROM projects", on=on)]
        begins = f"{self._drill} "
        held = Counter(int(title.removeprefix(begins)) for title in titles if title.startswith(begins))
        acknowledged = self.acknowledged
        refused = {number for one in self.by_machine.values() for number in one.refused}
        wrong = {number for number in acknowledged if held[number] != 1}
        wrong |= {number for number, times in held.items() if times > 1}
        return sorted(wrong | (held.keys() - acknowledged - refused))

    def expect_all(self, machines: Iterable[str]) -> None:
        """Waits until each acknowledged number is on each machine, once."""
        assert self.acknowledged, self.pauses()
        for machine in machines:
            try:
                eventually(lambda machine=machine: not self.losses(machine), "all numbers", within_s=30)
            except AssertionError:
                raise AssertionError(f"on {machine}: {self.losses(machine)}") from None

    def _write(self, machine: str) -> None:
        studio, written = Studio(self._farm, machine), self.by_machine[machine]
        while not self._end.wait(PAUSE_S):
            number = next(self._numbers)
            try:
                studio.call("POST", "/api/projects", {"title": f"{self._drill} {number}"}, within_s=ANSWER_S)
            except AssertionError as error:
                why = _CODE.search(str(error))
                written.refused[number] = why[1] or why[2] if why else str(error)
            else:
                written.acknowledged[number] = time.monotonic()
        written.ended_s = time.monotonic()


class Repeated:
    """An action that is called again and again in a thread, from entry to exit. It may raise AssertionError.

    `done` holds what it returned by its number; `failed` what it raised.
    """

    def __init__(self, action: Callable[[int], object]) -> None:
        self.done: dict[int, object] = {}
        self.failed: dict[int, str] = {}
        self.longest_s = 0.0
        """The longest time between two that went well."""
        self._action = action
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> Repeated:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _repeat(self) -> None:
        last = time.monotonic()
        for number in count(1):
            try:
                self.done[number] = self._action(number)
            except AssertionError as error:
                self.failed[number] = next(iter(str(error).splitlines()), "")
            else:
                self.longest_s, last = max(self.longest_s, time.monotonic() - last), time.monotonic()
            if self._end.wait(PAUSE_S):
                return
