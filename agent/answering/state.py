"""The state of a conversation between two turns, as its session stores it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agent.understanding.dialogue import CallRecord, Dialogue
from agent.understanding.language import DEFAULT

OPEN_FOR = timedelta(minutes=20)
"""A question or proposal that is older is no longer answered."""
CALL_CHARS = 20_000
"""A call with longer arguments is not kept: it cannot be repeated in other words."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A call that a language model proposed, as it was shown; `token` binds it to the whole call."""

    tool: str
    arguments: Mapping[str, Any]
    token: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The calls that one turn makes one after the other. Stored before the first, so that it is known what is
    left when the process ends between two of them.
    """

    turn: int
    calls: tuple[CallRecord, ...]


@dataclass(frozen=True, slots=True)
class ConversationState:
    """`choices`: what was shown for the open question, in the order of its calls, or as answers to it."""

    dialogue: Dialogue = field(default_factory=Dialogue)
    language: str = DEFAULT
    choices: tuple[str, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    """In their order; one yes runs all of them."""
    pending_since: datetime | None = None
    approval_id: str | None = None
    """Of a call of the turn before that waits for approval."""
    waiting: CallRecord | None = None
    """That call."""
    changes: tuple[CallRecord, ...] = ()
    """The calls of the last answer that changed something: what “take that back” and “same again” mean."""
    tools: tuple[str, ...] = ()
    """The tools that the last answer of a language model had."""
    plan: Plan | None = None
    """Of a turn that runs, or that was interrupted and may be gone on with."""

    @property
    def proposal(self) -> Proposal | None:
        """Returns the first proposal."""
        return self.proposals[0] if self.proposals else None

    def without_question(self) -> ConversationState:
        """Returns the state with nothing to answer."""
        return replace(
            self,
            dialogue=replace(self.dialogue, question=None),
            choices=(),
            proposals=(),
            pending_since=None,
        )

    def to_json(self) -> str:
        """Returns the state as JSON, without calls that are too long to be repeated."""
        short = replace(
            self,
            dialogue=replace(self.dialogue, calls=tuple(filter(_fits, self.dialogue.calls))),
            waiting=self.waiting if self.waiting is not None and _fits(self.waiting) else None,
            changes=tuple(filter(_fits, self.changes)),
            plan=self.plan if self.plan is not None and all(map(_fits, self.plan.calls)) else None,
        )
        return _STATE.dump_json(short, fallback=str).decode()

    @classmethod
    def from_json(cls, text: str | None, now: datetime) -> ConversationState:
        """Returns the state that `to_json` wrote, without a question that is too old; a new one for None, and
        for a state of another version.
        """
        try:
            state = _STATE.validate_json(text) if text else cls()
        except ValidationError:
            return cls()
        expired = state.pending_since is not None and now - state.pending_since > OPEN_FOR
        return state.without_question() if expired else state


_STATE = TypeAdapter(ConversationState)


def _fits(call: CallRecord) -> bool:
    return len(json.dumps(dict(call.arguments), ensure_ascii=False, default=str)) <= CALL_CHARS
