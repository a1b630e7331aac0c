"""Collects the result of a turn from its events; for the session and for following a render."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.events import (
    ApprovalRequested,
    BrainEvent,
    ConfirmationRequested,
    Failure,
    ModelUsage,
    Notice,
    Text,
    TextPart,
    ToolCalled,
    ToolReturned,
)
from agent.sessions.service import TurnEnd
from studio.renders.states import TERMINAL, RenderState

ACTIVE = frozenset(RenderState) - TERMINAL


def update_referents(
    result: Mapping[str, Any], render_id: str | None, project_id: str | None
) -> tuple[str | None, str | None]:
    """Returns the render and the project that "it" refers to after the result of a tool.

    A result that names a project alone clears the render.
    """
    render, project = result.get("render_id"), result.get("project_id")
    if not render and not project:
        return render_id, project_id
    return render or None, project or project_id


@dataclass(slots=True)
class TurnResult:
    """The result of a turn as far as its events have come."""

    replies: list[str] = field(default_factory=list)
    partial_text: str = ""
    """Of a text that still streams."""
    tool: str | None = None
    error_code: str | None = None
    render_id: str | None = None
    project_id: str | None = None
    render_active: bool = False
    """Whether the render of the answer has not ended yet."""
    dialogue: str | None = None
    """The state of the dialogue after the turn, as JSON; None: as it was."""
    proposals: list[ConfirmationRequested] = field(default_factory=list)
    usage: ModelUsage | None = None
    """What the answer took of language models."""
    approval_id: str | None = None
    """Of the last call that waits for approval."""
    backend: str = "none"
    """What answers: grammar, reader, model or none, as in `metrics.ROUTING`."""
    has_content: bool = False
    """Whether a text or the result of a tool has come."""

    def add(self, event: BrainEvent) -> None:
        match event:
            case TextPart():
                self.partial_text += event.text
                self.has_content = True
            case Text():
                self.replies.append(event.text)
                self.partial_text = ""
                self.has_content = True
            case Notice():
                self._end_partial_text()
                self.replies.append(event.text)
            case Failure():
                self._end_partial_text()
                self.replies.append(event.message)
                self.error_code = event.code
            case ConfirmationRequested():
                self.proposals.append(event)
            case ApprovalRequested():
                self.approval_id = event.approval_id
            case ToolCalled():
                self.tool = event.tool
            case ToolReturned():
                self.render_id, self.project_id = update_referents(
                    event.result, self.render_id, self.project_id
                )
                self.render_active = event.result.get("state") in ACTIVE
                self.has_content = True

    def end(self) -> TurnEnd:
        """Returns the present result, with what has streamed of an unfinished text."""
        partial = self.partial_text.strip()
        replies = [*self.replies, partial] if partial else self.replies
        return TurnEnd(
            "\n".join(replies), self.tool, self.error_code, self.render_id, self.project_id, self.dialogue
        )

    def _end_partial_text(self) -> None:
        if self.partial_text.strip():
            self.replies.append(self.partial_text.strip())
        self.partial_text = ""
