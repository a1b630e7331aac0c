"""Wire types of the chat routes."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from agent.events import BrainEvent

MAX_UTTERANCE_CHARS = 220_000
"""A script of 200 000 characters and the words around it."""


class ChatRequest(BaseModel, extra="forbid"):
    """One utterance. `follow` keeps the answer open until the video is done."""

    message: str = Field(min_length=1, max_length=MAX_UTTERANCE_CHARS)
    session_id: str | None = Field(default=None, description="continue this session; leave out to start one")
    follow: bool = False
    request_id: str | None = Field(
        default=None,
        min_length=8,
        max_length=80,
        description="made up by the caller; when it comes again, it gets the answer that it began",
    )
    debug: bool = Field(default=False, description="show whole arguments in the events, secrets masked")
    dry_run: bool = Field(default=False, description="tell the plan of what would change, and change nothing")


class ChatAnswer(BaseModel):
    """The answer as one document: the sentences joined, and every event."""

    session_id: str
    reply: str
    render_id: str | None = None
    events: list[BrainEvent]


class HelpLine(BaseModel):
    """One thing people can ask for. Its examples are in the language asked for where the agent has some."""

    intent: str
    tool: str | None
    purpose: str
    examples: Sequence[str]
    openings: Sequence[str] = Field(description="the examples that work where there is nothing yet")


class ToolLine(BaseModel):
    """The record of a tool, as data."""

    name: str
    purpose: str
    effect: str
    permission: str
    undo: str
    parameters: dict[str, object]
