"""Reads the cases and the state of the system that they speak of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from agent.sentences import read_folder, read_yaml
from agent.understanding.dialogue import CallRecord
from agent.understanding.world import Thing, World

FOLDER = Path(__file__).parent
NOW = datetime(2026, 11, 22, 10, 0)
Half = Literal["dev", "test"]
Outcome = str | Sequence[Mapping[str, Mapping[str, Any]]]
"""Calls in their order, or one of the words of README.md."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance, and what should come of it."""

    say: str
    want: Outcome
    also: Sequence[Outcome] = ()
    forbid: Sequence[str] = ()
    steps: Sequence[Mapping[str, Any]] = ()
    answer: str = ""

    @property
    def kind(self) -> str:
        """Returns what is wanted: `one call`, `several calls` or a word."""
        if isinstance(self.want, str):
            return self.want
        return "one call" if len(self.want) == 1 else "several calls"

    def calls_expected(self) -> tuple[CallRecord, ...]:
        """Returns the wanted calls as the state of a dialogue keeps them."""
        return () if isinstance(self.want, str) else tuple(map(_record, self.want))


def _record(call: Mapping[str, Mapping[str, Any]]) -> CallRecord:
    ((tool, arguments),) = call.items()
    return CallRecord.of(tool, arguments or {})


@dataclass(frozen=True, slots=True)
class Case:
    """A sentence, or a dialogue of several turns."""

    id: str
    language: str
    kind: str
    turns: Sequence[Turn] = field(default=())

    @property
    def half(self) -> Half:
        return "test" if int(hashlib.sha256(self.id.encode()).hexdigest(), 16) % 2 else "dev"


def read_cases() -> Iterator[Case]:
    """Yields every case of both halves."""
    for cases in read_folder(FOLDER / "cases").values():
        for data in cases:
            turns = [_turn(one) for one in data.get("turns") or [data]]
            yield Case(data["id"], data["lang"], data.get("kind", ""), turns)


def _turn(data: Mapping[str, Any]) -> Turn:
    return Turn(
        say=data["say"],
        want=data["want"],
        also=data.get("also") or (),
        forbid=data.get("forbid") or (),
        steps=[step for step in data.get("steps") or () if not isinstance(step, str)],
        answer=str(data.get("answer", "")),
    )


def read_world(common_words: frozenset[str] = frozenset()) -> World:
    """Returns what exists for the cases."""
    return World(tuple(_things()), common_words)


def _things() -> Iterator[Thing]:
    data = read_yaml(FOLDER / "world.yaml")
    for kind, things in data.items():
        for one in things:
            yield Thing(kind, one["name"], one.get("id", ""), one.get("state", ""))
            for number, scene in enumerate(one.get("scenes", ()), 1):
                yield Thing("scene", scene, parent=one["name"], number=number)
