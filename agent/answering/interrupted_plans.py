"""Finds what is left of a plan whose process ended between two of its calls."""

from __future__ import annotations

from dataclasses import dataclass

from agent.answering.state import Plan
from agent.events import ToolCalled
from agent.sessions.schemas import INTERRUPTED
from agent.sessions.service import SessionService, stream_of
from agent.turns.tool_call import ToolCaller
from agent.understanding.dialogue import CallRecord
from soundstage.errors import NotFound

ENDED = frozenset({"ok", "approval.required"})
"""Outcomes after which the next call of a plan is made."""


@dataclass(frozen=True, slots=True)
class InterruptedPlan:
    """`done`: so many calls have ended; `begun`: so many were announced, of which the last may be unknown."""

    plan: Plan
    done: int
    begun: int

    @property
    def ended(self) -> tuple[CallRecord, ...]:
        return self.plan.calls[: self.done]

    @property
    def unknown(self) -> tuple[CallRecord, ...]:
        """Returns the call that was begun and has no outcome: it may be done, and is never repeated."""
        return self.plan.calls[self.done : self.begun]

    @property
    def left(self) -> tuple[CallRecord, ...]:
        return self.plan.calls[self.begun :]


async def find_interrupted(
    plan: Plan, sessions: SessionService, caller: ToolCaller
) -> InterruptedPlan | None:
    """Returns how far a plan has come; None where its turn runs, has ended, or failed at one of its calls."""
    try:
        turn = await sessions.turn(caller.principal, caller.session_id, plan.turn)
    except NotFound:
        return None
    if turn.error_code != INTERRUPTED:
        return None
    past = await sessions.events.read(stream_of(caller.session_id, plan.turn))
    begun = sum(event.kind == ToolCalled.model_fields["type"].default for event in past)
    first = past[0].id if past else 0
    done = 0
    # Each call records its outcome under the session, in the transaction of its audit record.
    for event in await sessions.events.read(f"session:{caller.session_id}", after=first):
        if done == len(plan.calls) or event.kind != "tool.called":
            continue
        if event.data.get("tool") != plan.calls[done].intent.partition(".")[0]:
            continue
        if event.data.get("outcome") not in ENDED:
            return None
        done += 1
    return InterruptedPlan(plan, done, min(max(begun, done), len(plan.calls)))
