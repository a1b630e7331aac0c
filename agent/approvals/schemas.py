"""Wire types of approvals."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field, field_serializer

from agent.approvals.states import ApprovalState
from agent.tools.plan import Plan
from soundstage.telemetry.masking import without_secrets


class VoteRequest(BaseModel, extra="forbid"):
    """A vote with its reason, for the audit log."""

    reason: str = Field(default="", max_length=500)


class VoteOut(BaseModel, from_attributes=True):
    name: str
    agrees: bool
    reason: str
    at: datetime


class ApprovalOut(BaseModel, from_attributes=True):
    """A paused call: its plan, requester, needed votes, expiry and outcome."""

    id: str
    state: ApprovalState
    tool: str
    arguments: dict[str, Any]
    plan: Plan
    why: str
    approvers: int
    requester_id: str
    requester_name: str
    session_id: str
    trace_id: str | None
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    outcome: str
    votes: tuple[VoteOut, ...] = ()

    @field_serializer("arguments")
    def _shown(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Removes secrets. The vote is bound to the whole arguments by their hash."""
        return without_secrets(arguments)
