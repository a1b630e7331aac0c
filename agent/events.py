"""What the Brain says while it answers: typed events, the same over every transport."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Understood(_Event):
    """The utterance was matched to an intent; no tool has run yet."""

    type: Literal["understood"] = "understood"
    intent: str
    tool: str | None = None


class ToolCalled(_Event):
    """A tool starts. In debug mode `arguments` holds all it was given, else only what is short."""

    type: Literal["tool_call"] = "tool_call"
    tool: str
    effect: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolReturned(_Event):
    type: Literal["tool_result"] = "tool_result"
    tool: str
    result: dict[str, Any]


class Progress(_Event):
    """How far a render is. `fraction` runs from 0 to 1; `error` is set when it failed."""

    type: Literal["progress"] = "progress"
    render_id: str
    state: str
    stage: str | None = None
    done_frames: int = 0
    preview_url: str | None = None
    """A small JPEG of the latest frame."""
    total_frames: int | None = None
    fps: float | None = None
    eta_s: float | None = None
    fraction: float = Field(default=0.0, ge=0.0, le=1.0)
    waits: str = ""
    error: dict[str, Any] | None = None


class Text(_Event):
    """A sentence for the person."""

    type: Literal["text"] = "text"
    text: str


class Failure(_Event):
    """It did not work: a stable code, what happened, what to do next, sentences that would do."""

    type: Literal["error"] = "error"
    code: str
    message: str
    hint: str = ""
    suggestions: tuple[str, ...] = ()


class Done(_Event):
    """The last event of every answer."""

    type: Literal["done"] = "done"
    session_id: str
    turn: int


BrainEvent = Annotated[
    Understood | ToolCalled | ToolReturned | Progress | Text | Failure | Done, Field(discriminator="type")
]
BRAIN_EVENT: TypeAdapter[BrainEvent] = TypeAdapter(BrainEvent)
