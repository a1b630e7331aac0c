"""The Brain: turns an utterance into tool calls and tells what happens; every transport calls it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from agent.events import BrainEvent, Done, Failure, Text, TextPart, ToolReturned, TurnBegan, Understood
from agent.model.answers import ModelAnswers
from agent.sessions.schemas import CANCELLED
from agent.sessions.service import Conversation, OpenTurn, SessionService
from agent.tools import Toolset
from agent.tools.renders.lines import RenderLine
from agent.tools.services import ToolServices
from agent.tools.toolset import prepare_call
from agent.turns.log import TurnLog
from agent.turns.messages import help_text, model_failed, not_understood
from agent.turns.render_watch import RenderWatch
from agent.turns.result import TurnResult
from agent.turns.tool_call import ToolCaller
from agent.understanding import Grammar, HelpEntry, NotUnderstood, Understanding
from soundstage.errors import SoundstageError, unexpected_error
from soundstage.telemetry import get_logger, trace_id
from studio.renders.states import RenderState

HISTORY_TURNS = 10


class Brain:
    """Independent of transport and free of state: sessions live in the database, so many can talk at once.

    The grammar is asked first, because what it understands it understands for certain and at once; a language
    model, when there is one, gets the rest. Without it, or when it fails, the grammar's answer stands.
    """

    def __init__(
        self,
        *,
        grammar: Grammar,
        toolset: Toolset,
        sessions: SessionService,
        services: ToolServices,
        watch: RenderWatch,
        model: ModelAnswers | None = None,
    ) -> None:
        self.grammar = grammar
        self.toolset = toolset
        self.sessions = sessions
        self._services = services
        self._watch = watch
        self._model = model

    def help_lines(self) -> list[HelpEntry]:
        """Returns what can be asked for, in the order of the tools."""
        order = {name: place for place, name in enumerate(self.toolset.tools)}
        return sorted(self.grammar.help, key=lambda entry: order.get(entry.tool or "", len(order)))

    async def respond(
        self,
        conversation: Conversation,
        utterance: str,
        *,
        follow: bool = False,
        request_id: str | None = None,
    ) -> AsyncGenerator[BrainEvent, None]:
        """The events of one answer: `TurnBegan` first, `Done` last. With `follow`, the render it is about is
        watched to its end.

        Failures come as a `Failure` event; only an unknown session raises, before the first event.
        Closing the generator, or cancelling who reads it, cancels the answer.
        """
        turn = await self.sessions.begin_turn(conversation, utterance, request_id)
        conversation = replace(conversation, persona_id=turn.persona_id)
        journal = TurnLog(self.sessions, turn)
        done = Done(session_id=turn.session_id, turn=turn.number)
        try:
            async with journal.kept(), aclosing(self._told(conversation, turn, utterance, follow)) as told:
                async for event in told:
                    await journal.note(event)
                    yield event
        except (asyncio.CancelledError, GeneratorExit):
            await journal.note(Failure(code=CANCELLED, message="This answer was cancelled."))
            raise
        except SoundstageError as error:
            # What would change something is not done when it cannot be written down before.
            failure = Failure(code=error.code, message=error.message, hint=error.hint)
            await journal.note(failure)
            yield failure
        finally:
            await journal.note(done)
            # Shielded: who has cancelled an answer twice still finds in it how it ended.
            await asyncio.shield(journal.end())
        yield done

    async def _told(
        self, conversation: Conversation, turn: OpenTurn, utterance: str, follow: bool
    ) -> AsyncGenerator[BrainEvent, None]:
        yield TurnBegan(session_id=turn.session_id, turn=turn.number, trace_id=trace_id())
        outcome = TurnResult()
        try:
            async with aclosing(self._answer(conversation, turn, utterance)) as events:
                async for event in events:
                    outcome.note(event)
                    yield event
            if follow and outcome.render_id is not None and outcome.going_on:
                async with aclosing(self._follow(outcome.render_id, outcome.tool)) as events:
                    async for event in events:
                        yield event
        except SoundstageError as error:
            yield Failure(code=error.code, message=error.message, hint=error.hint)
        except Exception:
            get_logger(__name__).exception("an answer broke", session=turn.session_id, turn=turn.number)
            fault = unexpected_error()
            yield Failure(code=fault.code, message=fault.message, hint=fault.hint)

    async def _answer(
        self, conversation: Conversation, turn: OpenTurn, utterance: str
    ) -> AsyncGenerator[BrainEvent, None]:
        found = self.grammar.understand(utterance)
        caller = ToolCaller(self.toolset, self._services, conversation, turn)
        if isinstance(found, Understanding):
            answer = self._by_grammar(caller, found)
        elif self._model is not None:
            answer = self._by_model(self._model, caller, conversation, turn, utterance, found)
        else:
            yield not_understood(found)
            return
        async with aclosing(answer) as events:
            async for event in events:
                yield event

    async def _by_grammar(self, caller: ToolCaller, found: Understanding) -> AsyncGenerator[BrainEvent, None]:
        yield Understood(intent=found.intent, tool=found.tool)
        if found.tool is None:
            yield Text(text=help_text(self.help_lines(), found.arguments.get("topic", "")))
            return
        call = prepare_call(self.toolset, found.tool, found.arguments)
        async with aclosing(caller.run(call)) as events:
            async for event in events:
                yield event

    async def _by_model(
        self,
        model: ModelAnswers,
        caller: ToolCaller,
        conversation: Conversation,
        turn: OpenTurn,
        utterance: str,
        found: NotUnderstood,
    ) -> AsyncGenerator[BrainEvent, None]:
        """The model's answer; when it fails, one sentence about that and what the grammar says."""
        earlier = await self.sessions.turns(conversation.principal, conversation.id, HISTORY_TURNS + 1)
        own = [one for one in earlier if one.number < turn.number]
        history = (await self._services.snapshots.history(conversation.id, own))[-HISTORY_TURNS:]
        known = await self._services.memory.offered(caller.principal, utterance, conversation.persona_id)
        said = False
        try:
            async with aclosing(model.answer(caller, utterance, history, known)) as events:
                async for event in events:
                    said = said or isinstance(event, Text | TextPart | ToolReturned)
                    yield event
        except SoundstageError as error:
            yield model_failed(error)
            if not said:
                yield not_understood(found)

    async def _follow(self, render_id: str, tool: str | None) -> AsyncGenerator[BrainEvent, None]:
        """Progress until the end, then how it ended."""
        async for progress in self._watch.follow(render_id):
            yield progress
        view = await self._watch.view(render_id)
        if view.state == RenderState.DONE:
            yield Text(text=RenderLine.of(view, self._services.out_dir).sentence())
        elif view.state == RenderState.CANCELLED and tool == "cancel_render":
            yield Text(text=f"“{view.title}” is cancelled. Nothing partial is left.")
        elif view.error is not None:
            yield Failure(code=view.error.code, message=view.error.message, hint=view.error.hint)
        else:
            yield Failure(code="render.cancelled", message=f"“{view.title}” was cancelled.")
