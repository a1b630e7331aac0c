"""Judges what came of a turn, and counts it by tool, kind and language."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.understanding.dialogue import CallRecord
from agent.understanding.intents import change_anything
from bench.nlu_evaluation.cases import Case, Outcome, Turn
from bench.nlu_evaluation.compare import calls_match, is_forbidden, plain

OUTCOMES = (
    "right",
    "asked",
    "declined",
    "wrong read",
    "wrong write",
    "wrong plan",
    "wrong confirm",
    "failed",
)
ACCEPTED: Mapping[str, frozenset[str]] = {
    "ask": frozenset({"ask"}),
    "chat": frozenset({"chat", "nothing", "decline"}),
    "none": frozenset({"chat", "nothing", "decline", "refuse", "not understood"}),
    "refuse": frozenset({"refuse"}),
    "plan": frozenset({"plan"}),
}
"""Of each word that a case may want, the decisions that are right. `none`: whatever does nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Holds what one way to understand made of a turn. `decision`: `calls` or a kind of `Decision`."""

    decision: str
    calls: tuple[CallRecord, ...] = ()
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: str
    forbidden: bool
    steps_right: bool | None = None
    """Of a plan: whether its calls are the wanted steps."""


def calls_of(answer: Answer) -> list[tuple[str, dict[str, Any]]]:
    """Returns the calls by tool, with the action among the arguments."""
    found = []
    for call in answer.calls:
        tool, _, action = call.intent.partition(".")
        found.append((tool, {**({"action": action} if action else {}), **call.arguments}))
    return found


def judge(turn: Turn, answer: Answer) -> Verdict:
    """Returns whether the answer is right, a question, or wrong, and whether it does what is forbidden."""
    calls = calls_of(answer)
    performed = calls if answer.decision == "calls" else []
    forbidden = any(is_forbidden(name, call) for name in turn.forbid for call in performed)
    steps = None
    if turn.want == "plan" and turn.steps:
        expected = [{name: value for name, value in step.items() if name != "when"} for step in turn.steps]
        steps = answer.decision == "plan" and calls_match([one for one in expected if one], calls)
    return Verdict(_outcome(turn, answer, performed), forbidden, steps)


def _outcome(turn: Turn, answer: Answer, performed: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    if any(_is_right(one, turn, answer.decision, performed) for one in (turn.want, *turn.also)):
        return "right"
    if answer.decision == "calls":
        return "wrong write" if change_anything(answer.calls) else "wrong read"
    others = {"ask": "asked", "plan": "wrong plan", "confirm": "wrong confirm", "failed": "failed"}
    return others.get(answer.decision, "declined")


def _is_right(
    expected: Outcome, turn: Turn, decision: str, performed: Sequence[tuple[str, Mapping[str, Any]]]
) -> bool:
    if not isinstance(expected, str):
        return decision == "calls" and calls_match(expected, performed)
    if expected == "confirm":
        return decision == ("decline" if turn.answer in ("no", "False") else "confirm")
    return decision in ACCEPTED[expected]


@dataclass
class Score:
    """Counts of outcomes, in all and by group."""

    learned: frozenset[str] = frozenset()
    """Sentences of the corpus; how well those are understood says little."""
    groups: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    tokens: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, case: Case, turn: Turn, answer: Answer, verdict: Verdict) -> None:
        names = ["all", f"language {case.language}", "dialogue" if len(case.turns) > 1 else "single",
                 f"wanted {turn.kind}", f"kind {case.kind}"]  # fmt: skip
        names.append("in the corpus" if plain(turn.say) in self.learned else "not in the corpus")
        if not isinstance(turn.want, str):
            names += sorted({f"tool {tool}" for call in turn.want for tool in call})
        for name in names:
            count = self.groups[name]
            count[verdict.outcome] += 1
            count["turns"] += 1
            count["forbidden"] += verdict.forbidden
            if verdict.steps_right is not None:
                count["plans"] += 1
                count["steps right"] += verdict.steps_right
        self.tokens += answer.tokens
        self.seconds.append(answer.seconds)

    def figures(self, group: str = "all") -> dict[str, float]:
        """Returns the share of each outcome in percent; `forbidden` and `turns` are counts."""
        count = self.groups[group]
        shares = {name: round(100 * count[name] / max(count["turns"], 1), 1) for name in OUTCOMES}
        plans = {"steps right": count["steps right"], "plans": count["plans"]} if count["plans"] else {}
        return {"turns": count["turns"], **shares, "forbidden": count["forbidden"], **plans}

    def as_json(self) -> dict[str, Any]:
        ordered = sorted(self.seconds)
        at = {
            name: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
            for name, share in (("p50", 0.5), ("p95", 0.95))
        }
        return {
            "groups": {name: self.figures(name) for name in sorted(self.groups)},
            "tokens": self.tokens,
            "seconds": {name: round(value, 4) for name, value in at.items()},
        }
