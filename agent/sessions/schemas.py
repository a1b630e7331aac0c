"""Wire types of sessions and turns."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, computed_field

INTERRUPTED = "agent.interrupted"
CANCELLED = "agent.cancelled"

TurnState = Literal["running", "done", "failed", "cancelled", "interrupted"]


class SessionOut(BaseModel, from_attributes=True):
    id: str
    persona_id: str | None = None
    title: str
    turns: int
    last_render_id: str | None
    last_project_id: str | None
    created_at: datetime
    updated_at: datetime


class TurnOut(BaseModel, from_attributes=True):
    number: int
    utterance: str
    tool: str | None
    reply: str
    error_code: str | None
    trace_id: str | None
    started_at: datetime
    finished_at: datetime | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def state(self) -> TurnState:
        """Returns the state; `interrupted`: the server stopped during the answer, and did not retry it."""
        if self.finished_at is None:
            return "running"
        ends: dict[str | None, TurnState] = {None: "done", CANCELLED: "cancelled", INTERRUPTED: "interrupted"}
        return ends.get(self.error_code, "failed")
