"""Wire types of sessions and turns."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class SessionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    title: str
    turns: int
    last_render_id: str | None
    created_at: datetime
    updated_at: datetime


class TurnOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    number: int
    utterance: str
    tool: str | None
    reply: str
    error_code: str | None
    trace_id: str | None
    started_at: datetime
    finished_at: datetime | None
