"""Counts why the reader asks in the dev half, not acts: `python -m bench.nlu_evaluation.questions`."""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.understanding import Grammar
from agent.understanding.candidates import plain
from agent.understanding.decision import Decision
from agent.understanding.dialogue import CallRecord
from agent.understanding.trained import load_reader
from bench.nlu_evaluation.cases import NOW, Case, Turn, read_cases
from bench.nlu_evaluation.scoring import Answer, judge
from bench.nlu_evaluation.ways import ReaderWay

REASONS = (
    "right call unsure", "right call second", "argument wrong", "intent second", "intent third",
    "intent not found", "division",
)  # fmt: skip


class _WatchedWay(ReaderWay):
    """Keeps the last decision."""

    decision = Decision("nothing")

    def _decide(self, text: str) -> Decision:
        self.dialogue_before = self._dialogue
        self.decision = super()._decide(text)
        return self.decision

    def read(self, text: str) -> list[CallRecord]:
        """Returns the calls that the whole utterance may ask for, the most probable first."""
        found = self._interpreter.reader.read(text, self._world, self.dialogue_before.focus(), NOW)
        return [CallRecord(one.intent, plain(one.arguments)) for one in found]


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """One question. `about`: what the interpreter calls it; `tool`: what was wanted."""

    case: Case
    turn: Turn
    reason: str
    about: str
    tool: str


def questions(way: _WatchedWay, cases: Sequence[Case]) -> Iterator[OpenQuestion]:
    """Yields the turns where the reader asks and a call is wanted."""
    for case in cases:
        way.begin()
        for turn in case.turns:
            answer = way.answer(turn.say)
            if judge(turn, answer).outcome == "asked":
                tool = turn.want if isinstance(turn.want, str) else "+".join(_intents(turn))
                yield OpenQuestion(case, turn, _reason(turn, way.read(turn.say)), way.decision.about, tool)
            way.correct(turn)


def _intents(turn: Turn) -> list[str]:
    return [call.intent for call in turn.calls_expected()]


def _reason(turn: Turn, read: Sequence[CallRecord]) -> str:
    if isinstance(turn.want, str):
        return f"wanted {turn.want}"
    expected = _intents(turn)
    if len(expected) > 1:
        return "division"
    for place, call in enumerate(read[:2]):
        if judge(turn, Answer("calls", (call,))).outcome == "right":
            return REASONS[place]
    places = [place for place, call in enumerate(read) if call.intent in expected]
    return "intent not found" if not places else REASONS[2 + places[0]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.nlu_evaluation.questions", description=__doc__)
    parser.add_argument("--show", default="", help="a reason of which the sentences are printed")
    options = parser.parse_args()
    reader = load_reader(train=True)
    assert reader is not None
    cases = [case for case in read_cases() if case.half == "dev"]
    found = list(questions(_WatchedWay(reader, Grammar.load()), cases))
    by_tool: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        by_tool[one.tool][one.reason] += 1
        if one.reason == options.show:
            print(f"{one.case.id} | {one.about} | {one.turn.say!r} | {one.turn.want}")
    print(f"{len(found)} questions; by reason:", dict(Counter(one.reason for one in found).most_common()))
    print("by reason and question:", dict(Counter((one.reason, one.about) for one in found).most_common(40)))
    for tool, reasons in sorted(by_tool.items(), key=lambda item: -item[1].total()):
        print(f"{tool:32}{reasons.total():5}  {dict(reasons.most_common())}")


if __name__ == "__main__":
    main()
