"""Runs one tool call of a turn and emits its events; calls of the grammar and of models alike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent.approvals.errors import ApprovalRequired
from agent.events import ApprovalRequested, Emit, Text, ToolCalled, ToolReturned
from agent.presentation import as_text
from agent.sessions.service import Conversation, OpenTurn
from agent.tools.plan import Plan
from agent.tools.record import ToolContext, ToolResult
from agent.tools.services import ToolServices
from agent.tools.toolset import ToolCall, Toolset
from agent.tools.wrappers import PlannedResult, shorten
from agent.turns.result import update_referents
from policy import Principal
from soundstage.errors import Forbidden, SoundstageError
from soundstage.tasks import cancel_all
from soundstage.telemetry.masking import without_secrets
from studio.personas.schemas import Persona


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """The last event of a call, and the text that presents it to people."""

    event: ToolReturned | ApprovalRequested
    text: Text


class ToolCaller:
    """Calls tools for one turn of one conversation."""

    def __init__(
        self, toolset: Toolset, services: ToolServices, conversation: Conversation, turn: OpenTurn
    ) -> None:
        self._toolset = toolset
        self._services = services
        self._conversation = conversation
        self._number = turn.number
        self.completed: list[tuple[ToolCall, ToolReturned]] = []
        """The calls of this turn that have returned, in order."""
        self.failed: ToolCall | None = None
        """The last call that raised an error."""
        self.has_begun_change = False
        """Whether a call of this turn that changes something was begun, however it ended."""
        self._last_render_id, self._last_project_id = turn.last_render_id, turn.last_project_id

    @property
    def principal(self) -> Principal:
        return self._conversation.principal

    @property
    def session_id(self) -> str:
        return self._conversation.id

    @property
    def is_dry_run(self) -> bool:
        return self._conversation.dry_run

    @property
    def persona(self) -> Persona | None:
        """The persona of the conversation, from its present file. Raises `persona.not_found`."""
        persona_id = self._conversation.persona_id
        return None if persona_id is None else self._services.studio.library.get(persona_id)

    @property
    def trusts_persona(self) -> bool:
        """Returns whether the texts of the persona are the operator's own and not a user's."""
        persona_id = self._conversation.persona_id
        return persona_id is None or self._services.studio.library.origin(persona_id) == "shipped"

    def may_use(self, tool: str) -> bool:
        """Returns whether the present file of the persona allows this tool."""
        persona = self.persona
        return persona is None or "*" in persona.tools or tool in persona.tools

    def sends_data(self, call: ToolCall) -> bool:
        """Returns whether the call sends something to another machine, whatever its effect here."""
        return call.tool.sends is not None and call.tool.sends(self._services, call.request)

    def for_display(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns arguments for an event, without secrets: whole in debug mode, else only short ones."""
        return without_secrets(arguments if self._conversation.debug else shorten(arguments))

    async def run(self, call: ToolCall, emit: Emit) -> CallOutcome:
        """Emits `tool_call` before anything happens, then `tool_result`, or `approval` where people have to
        agree first. Raises `persona.tool_not_allowed` and the errors of the tool.
        """
        await self._announce(call, emit)
        try:
            result = await self._toolset.run(self._context(), call)
        except ApprovalRequired as required:
            return await self._wait_for_approval(call, required, emit)
        except SoundstageError:
            self.failed = call
            raise
        return await self._finish(call, result, emit)

    async def run_together(
        self, calls: Sequence[ToolCall], emit: Emit
    ) -> list[CallOutcome | SoundstageError]:
        """Runs calls that only read at once, and returns the outcome or the error of each. Emits the events
        as `run`, all in the order of the calls.
        """
        outcomes: list[CallOutcome | SoundstageError] = []
        running: list[asyncio.Task[ToolResult]] = []
        try:
            for call in calls:
                await self._announce(call, emit)
                running.append(asyncio.create_task(self._toolset.run(self._context(), call)))
            await asyncio.wait(running)
        finally:
            await cancel_all(running)
        for call, task in zip(calls, running, strict=True):
            try:
                outcomes.append(await self._finish(call, task.result(), emit))
            except ApprovalRequired as required:
                outcomes.append(await self._wait_for_approval(call, required, emit))
            except SoundstageError as error:
                outcomes.append(error)
        return outcomes

    async def preview(self, call: ToolCall) -> Plan | None:
        """Returns what a call would change, and changes nothing; None for a tool without a plan. Raises as
        the call would.
        """
        result = await self._toolset.run(replace(self._context(), dry_run=True), call)
        return result.plan if isinstance(result, PlannedResult) else None

    def _context(self) -> ToolContext:
        return ToolContext(
            principal=self._conversation.principal,
            session_id=self._conversation.id,
            turn=self._number,
            services=self._services,
            last_render_id=self._last_render_id,
            last_project_id=self._last_project_id,
            local_files=self._conversation.local_files,
            dry_run=self._conversation.dry_run,
        )

    async def _announce(self, call: ToolCall, emit: Emit) -> None:
        """Emits `tool_call`. Raises `persona.tool_not_allowed`."""
        name = call.tool.name
        if not self.may_use(name):
            raise Forbidden(
                "persona.tool_not_allowed",
                f"The persona of this conversation does not use {name}.",
                "Ask in a conversation without it, or add the tool to `tools` in its file.",
            )
        arguments = self.for_display(call.request.model_dump(mode="json", exclude_none=True))
        self.has_begun_change |= call.act.effect != "read"
        await emit(ToolCalled(tool=name, effect=call.act.effect, arguments=arguments))

    async def _wait_for_approval(self, call: ToolCall, required: ApprovalRequired, emit: Emit) -> CallOutcome:
        approval = ApprovalRequested(
            tool=call.tool.name,
            approval_id=required.approval_id,
            message=required.message,
            hint=required.hint,
        )
        await emit(approval)
        return CallOutcome(approval, Text(text=f"{required.message}\n{required.hint}"))

    async def _finish(self, call: ToolCall, result: ToolResult, emit: Emit) -> CallOutcome:
        """Emits `tool_result`."""
        data = result.model_dump(mode="json")
        # The next call of the same answer may say "it" for the result of this one.
        self._last_render_id, self._last_project_id = update_referents(
            data, self._last_render_id, self._last_project_id
        )
        # Events are stored with the turn, and a model gets this one as it is: neither needs a secret.
        returned = ToolReturned(tool=call.tool.name, result=without_secrets(data))
        await emit(returned)
        self.completed.append((call, returned))
        blocks = result.presentation()
        return CallOutcome(returned, Text(text=as_text(blocks), blocks=blocks))
