"""Holds what an utterance leads to, and from which sureness on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from agent.understanding.dialogue import YES_OR_NO, CallRecord, Question
from agent.understanding.plans import Step
from agent.understanding.reader import Candidate

Kind = Literal["calls", "ask", "chat", "refuse", "nothing", "confirm", "decline", "plan"]

SURE_READ = 0.4
SURE_READ_AMONG = 0.25
SURE_READS = 0.6
"""What only reads is done from the first on, or from the second on where the candidates that only read are
together as sure as the third.
"""
SURE_WRITE = 0.45
SURE_INTENT = 0.5
SURE_CHANGED = 0.8
SURE_KIND = 0.7
SURE_CALL = 1.6
SURE_RISKY = 2.2
"""From these log-odds on a change is made without asking, where no word speaks against it: the second for
what others notice, and for each of several wishes.
"""
SURE_DESPITE = 0.75
"""So much more where a word may speak against it; what destroys or others notice is asked about then."""
SURE_COMPUTED = 0.0
"""For code, which changes nothing outside of its sandbox."""
SURE_NOTHING = 0.45
SURE_OTHER = 0.75
"""From here on an utterance is a new wish although a question is open."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Says what an utterance leads to. `about`: why it asks, or which answer it is; `question`: what it asks.

    `calls`: in their order.
    """

    kind: Kind
    calls: tuple[CallRecord, ...] = ()
    about: str = ""
    question: Question | None = None
    candidates: tuple[Candidate, ...] = ()
    unknown: Mapping[str, str] | None = None
    topic: str = ""
    steps: tuple[Step, ...] = ()
    """Of a plan: what is done when; none where it could not be read. `calls` has them all."""

    @property
    def proposed(self) -> tuple[CallRecord, ...]:
        """Returns the calls that are made, or that a question waits with for a yes."""
        if self.question is not None and self.question.about in YES_OR_NO:
            return self.question.choices
        return self.calls if self.kind == "calls" else ()

    def as_plan(self, steps: tuple[Step, ...]) -> Decision:
        """Returns the plan to make the proposed calls in these steps; without steps, the decision itself."""
        return replace(self, kind="plan", steps=steps, calls=self.proposed, question=None) if steps else self

    def as_question(self, question: str, subject: str = "", *, about: str = "confirm") -> Decision:
        """Returns the question whether the calls shall be made."""
        return replace(
            self, kind="ask", about=about, calls=(), question=Question(question, subject, choices=self.calls)
        )


def ask_about(
    about: str,
    choices: Iterable[CallRecord] = (),
    candidates: tuple[Candidate, ...] = (),
    *,
    question: str = "",
    subject: str = "",
) -> Decision:
    """Returns a question with these choices; `question` is its kind where that is not `about`."""
    return Decision(
        "ask",
        about=about,
        candidates=candidates,
        question=Question(question or about, subject, choices=tuple(choices)),
    )
