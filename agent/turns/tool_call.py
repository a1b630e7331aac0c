"""Runs one tool call of one turn and tells of it; the grammar's calls and the model's go this same way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from agent.approvals.errors import ApprovalRequired
from agent.events import ApprovalAsked, BrainEvent, Text, ToolCalled, ToolReturned
from agent.sessions.service import Conversation, OpenTurn
from agent.tools.record import ToolContext
from agent.tools.services import ToolServices
from agent.tools.toolset import ToolCall, Toolset
from agent.tools.wrappers import shortened
from agent.turns.result import update_referents
from policy import Principal
from soundstage.errors import Forbidden
from soundstage.telemetry.masking import without_secrets
from studio.personas.schemas import Persona


class ToolCaller:
    """Calls tools for one turn of one conversation."""

    def __init__(
        self, toolset: Toolset, services: ToolServices, conversation: Conversation, turn: OpenTurn
    ) -> None:
        self._toolset = toolset
        self._services = services
        self._conversation = conversation
        self._number = turn.number
        self._last_render_id, self._last_project_id = turn.last_render_id, turn.last_project_id

    @property
    def principal(self) -> Principal:
        return self._conversation.principal

    @property
    def persona(self) -> Persona | None:
        """With whom the conversation is held, as the file says now. Raises `persona.not_found`."""
        persona_id = self._conversation.persona_id
        return None if persona_id is None else self._services.personas.get(persona_id)

    @property
    def persona_is_the_operators(self) -> bool:
        """Whether its words are the operator's own, and not of somebody who made a persona."""
        persona_id = self._conversation.persona_id
        return persona_id is None or self._services.personas.origin(persona_id) == "shipped"

    def may_use(self, tool: str) -> bool:
        """Returns whether the persona of the conversation uses this tool, as its file says now."""
        persona = self.persona
        return persona is None or "*" in persona.tools or tool in persona.tools

    def gives_away(self, call: ToolCall) -> bool:
        """Returns whether it would send something to another machine, whatever its effect here."""
        return call.tool.sends is not None and call.tool.sends(self._services, call.request)

    def shown(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments as an event shows them, without secrets: whole in debug mode, else only what is short."""
        return without_secrets(arguments if self._conversation.debug else shortened(arguments))

    async def run(self, call: ToolCall) -> AsyncGenerator[BrainEvent, None]:
        """`tool_call` before anything happens, then `tool_result` and the result's own sentence.

        Where people have to agree first, `approval` and what they would agree to instead. Raises
        `persona.tool_not_allowed`.
        """
        name = call.tool.name
        if not self.may_use(name):
            raise Forbidden(
                "persona.tool_not_allowed",
                f"The persona of this conversation does not use {name}.",
                "Ask in a conversation without it, or add the tool to `tools` in its file.",
            )
        arguments = self.shown(call.request.model_dump(mode="json", exclude_none=True))
        yield ToolCalled(tool=name, effect=call.act.effect, arguments=arguments)
        context = ToolContext(
            principal=self._conversation.principal,
            session_id=self._conversation.id,
            turn=self._number,
            services=self._services,
            last_render_id=self._last_render_id,
            last_project_id=self._last_project_id,
            local_files=self._conversation.local_files,
            dry_run=self._conversation.dry_run,
        )
        try:
            result = await self._toolset.run(context, call)
        except ApprovalRequired as waits:
            yield ApprovalAsked(
                tool=name, approval_id=waits.approval_id, message=waits.message, hint=waits.hint
            )
            yield Text(text=f"{waits.message}\n{waits.hint}")
            return
        data = result.model_dump(mode="json")
        # What was made or looked at is what "it" means in the next call of the same answer.
        self._last_render_id, self._last_project_id = update_referents(
            data, self._last_render_id, self._last_project_id
        )
        # Events are kept with the turn, and a model gets this one as it is: neither has use for a secret.
        yield ToolReturned(tool=name, result=without_secrets(data))
        yield Text(text=result.sentence())
