"""What a turn came to, gathered from its events; for the session's memory and for following a render."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.events import BrainEvent, Failure, Notice, Text, TextPart, ToolCalled, ToolReturned
from agent.sessions.service import TurnEnd
from studio.renders.states import TERMINAL, RenderState

GOING_ON = frozenset(RenderState) - TERMINAL


def update_referents(
    result: Mapping[str, Any], render_id: str | None, project_id: str | None
) -> tuple[str | None, str | None]:
    """The render and the project that "it" may mean after a tool's result, which names one, both or none.

    After a project alone, "it" is no longer the video from before.
    """
    render, project = result.get("render_id"), result.get("project_id")
    if not render and not project:
        return render_id, project_id
    return render or None, project or project_id


@dataclass(slots=True)
class TurnResult:
    """What a turn came to, kept for the session's memory."""

    replies: list[str] = field(default_factory=list)
    part: str = ""
    """Of a text that is being written."""
    tool: str | None = None
    error_code: str | None = None
    render_id: str | None = None
    project_id: str | None = None
    going_on: bool = False
    """Whether the render of the answer has not ended yet."""

    def note(self, event: BrainEvent) -> None:
        match event:
            case TextPart():
                self.part += event.text
            case Text():
                self.replies.append(event.text)
                self.part = ""
            case Notice():
                self._break_off()
                self.replies.append(event.text)
            case Failure():
                self._break_off()
                self.replies.append(event.message)
                self.error_code = event.code
            case ToolCalled():
                self.tool = event.tool
            case ToolReturned():
                self.render_id, self.project_id = update_referents(
                    event.result, self.render_id, self.project_id
                )
                self.going_on = event.result.get("state") in GOING_ON

    def end(self) -> TurnEnd:
        """As far as it has come."""
        replies = [*self.replies, self.part.strip()] if self.part.strip() else self.replies
        return TurnEnd("\n".join(replies), self.tool, self.error_code, self.render_id, self.project_id)

    def _break_off(self) -> None:
        if self.part.strip():
            self.replies.append(self.part.strip())
        self.part = ""
