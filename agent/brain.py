"""The Brain: turns an utterance into a tool call and tells what happens; every transport calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.events import BrainEvent, Done, Failure, Text, ToolCalled, ToolReturned, Understood
from agent.replies import help_text, not_understood
from agent.sessions.service import Conversation, OpenTurn, SessionService
from agent.tools import Toolset
from agent.tools.doors import StudioDoors
from agent.tools.record import ToolContext
from agent.tools.renders import RenderLine
from agent.tools.toolset import prepare_call
from agent.tools.wrappers import shortened
from agent.understanding import Grammar, HelpEntry, NotUnderstood
from agent.watching import RenderWatch
from soundstage.errors import SoundstageError
from studio.renders.states import TERMINAL, RenderState

GOING_ON = frozenset(RenderState) - TERMINAL


@dataclass(slots=True)
class _Outcome:
    """What a turn came to, kept for the session's memory."""

    replies: list[str] = field(default_factory=list)
    tool: str | None = None
    error_code: str | None = None
    render_id: str | None = None
    going_on: bool = False
    """Whether the render of the answer has not ended yet."""

    def note(self, event: BrainEvent) -> BrainEvent:
        match event:
            case Text():
                self.replies.append(event.text)
            case Failure():
                self.replies.append(event.message)
                self.error_code = event.code
            case ToolCalled():
                self.tool = event.tool
            case ToolReturned():
                self.render_id = event.result.get("render_id") or self.render_id
                self.going_on = event.result.get("state") in GOING_ON
        return event


class Brain:
    """Independent of transport and free of state: sessions live in the database, so many can talk at once."""

    def __init__(
        self,
        *,
        grammar: Grammar,
        toolset: Toolset,
        sessions: SessionService,
        doors: StudioDoors,
        watch: RenderWatch,
    ) -> None:
        self.grammar = grammar
        self.toolset = toolset
        self.sessions = sessions
        self._doors = doors
        self._watch = watch

    def help_lines(self) -> list[HelpEntry]:
        """What can be asked for, in the order of the tools."""
        order = {name: place for place, name in enumerate(self.toolset.tools)}
        return sorted(self.grammar.help, key=lambda entry: order.get(entry.tool or "", len(order)))

    async def respond(
        self, conversation: Conversation, utterance: str, *, follow: bool = False
    ) -> AsyncIterator[BrainEvent]:
        """The events of one answer, `Done` last. With `follow`, the render it is about is watched to its end.

        Expected failures come as a `Failure` event; only an unknown session raises, before the first event.
        """
        turn = await self.sessions.begin_turn(conversation, utterance)
        outcome = _Outcome()
        try:
            async for event in self._answer(conversation, turn, utterance):
                yield outcome.note(event)
            if follow and outcome.render_id is not None and outcome.going_on:
                await self._remember(turn, outcome)
                async for event in self._follow(outcome.render_id, outcome.tool):
                    yield outcome.note(event)
        except SoundstageError as error:
            yield outcome.note(Failure(code=error.code, message=error.message, hint=error.hint))
        finally:
            await self._remember(turn, outcome)
        yield Done(session_id=turn.session_id, turn=turn.number)

    async def _answer(
        self, conversation: Conversation, turn: OpenTurn, utterance: str
    ) -> AsyncIterator[BrainEvent]:
        found = self.grammar.understand(utterance)
        if isinstance(found, NotUnderstood):
            yield not_understood(found)
            return
        yield Understood(intent=found.intent, tool=found.tool)
        if found.tool is None:
            yield Text(text=help_text(self.help_lines(), found.arguments.get("topic", "")))
            return
        async for event in self._call(conversation, turn, found.tool, found.arguments):
            yield event

    async def _call(
        self, conversation: Conversation, turn: OpenTurn, name: str, arguments: Mapping[str, Any]
    ) -> AsyncIterator[BrainEvent]:
        call = prepare_call(self.toolset, name, arguments)
        values = call.request.model_dump(mode="json", exclude_none=True)
        shown = values if conversation.debug else shortened(values)
        yield ToolCalled(tool=name, effect=call.tool.effect, arguments=shown)
        context = ToolContext(
            principal=conversation.principal,
            session_id=conversation.id,
            doors=self._doors,
            last_render_id=turn.last_render_id,
            local_files=conversation.local_files,
        )
        result = await self.toolset.run(context, call)
        yield ToolReturned(tool=name, result=result.model_dump(mode="json"))
        yield Text(text=result.sentence())

    async def _follow(self, render_id: str, tool: str | None) -> AsyncIterator[BrainEvent]:
        """Progress until the end, then how it ended."""
        async for progress in self._watch.follow(render_id):
            yield progress
        view = await self._watch.view(render_id)
        if view.state == RenderState.DONE:
            yield Text(text=RenderLine.of(view, self._doors.out_dir).sentence())
        elif view.state == RenderState.CANCELLED and tool == "cancel_render":
            yield Text(text=f"“{view.title}” is cancelled. Nothing partial is left.")
        elif view.error is not None:
            yield Failure(code=view.error.code, message=view.error.message, hint=view.error.hint)
        else:
            yield Failure(code="render.cancelled", message=f"“{view.title}” was cancelled.")

    async def _remember(self, turn: OpenTurn, outcome: _Outcome) -> None:
        await self.sessions.end_turn(
            turn,
            reply="\n".join(outcome.replies),
            tool=outcome.tool,
            error_code=outcome.error_code,
            render_id=outcome.render_id,
        )
