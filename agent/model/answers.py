"""Runs one answer of a language model: rounds of text and tool calls within a budget; called by the Brain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from agent.events import (
    ApprovalRequested,
    ConfirmationRequested,
    Emit,
    Notice,
    Text,
    TextPart,
    ToolFailed,
)
from agent.model.backend import ChatModel, CutShort, Message, Models, Piece, TextPiece, ToolAsk, Usage
from agent.model.budget import TurnBudget, TurnLimits
from agent.model.instructions import DataMarks
from agent.model.offered_tools import FIND_TOOLS, OfferedTools, descriptions
from agent.model.placeholder import ScriptPlaceholder
from agent.sessions.schemas import TurnOut
from agent.tools.toolset import ToolCall, Toolset, prepare_call
from agent.turns.tool_call import ToolCaller
from agent.understanding import Grammar
from agent.understanding.wording import has_quoted_text
from soundstage.database import utcnow
from soundstage.errors import Invalid, SoundstageError, Upstream

ANSWER_TOKENS = 4096
HISTORY_CHARS = 1500
MAX_SAME_CALLS = 2
LONGEST_BUSY_S = 10.0
MAX_WAITS = 3
"""How often a turn waits for a model that is busy or still being loaded."""
NO_FAILURE = ("model.context_full", "model.loading")
"""Errors that are no sign of a broken model: the router gets them only when the turn gives it up."""


@dataclass(slots=True)
class _Round:
    """The output of one request to a model."""

    text: list[str] = field(default_factory=list)
    asks: list[ToolAsk] = field(default_factory=list)
    tokens: int | None = None
    cut_short: bool = False

    @property
    def characters(self) -> int:
        return sum(map(len, self.text)) + sum(len(ask.arguments) for ask in self.asks)


@dataclass(frozen=True, slots=True)
class Reading:
    """The reader's reading of an utterance: `hint` in words, `tools` by how well they fit, the best first.

    `needed`: those without which it cannot be done; `offered`: what the last answer of the conversation had.
    """

    hint: str = ""
    tools: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()


class ModelAnswers:
    """Answers by language models. Free of state: a turn has its own."""

    def __init__(self, models: Models, toolset: Toolset, grammar: Grammar, limits: TurnLimits) -> None:
        self._models = models
        self._toolset = toolset
        self._grammar = grammar
        self._limits = limits
        self.descriptions = descriptions(toolset.tools.values(), grammar.help)

    async def answer(
        self,
        caller: ToolCaller,
        utterance: str,
        emit: Emit,
        history: Sequence[TurnOut],
        memories: Sequence[str] = (),
        reading: Reading = Reading(),
    ) -> tuple[str, ...]:
        """Emits the events of one answer; `memories` are related to the utterance. Returns the tools that
        the model had, for the next answer of the conversation.

        Raises SoundstageError `model.…` when the model could not give one.
        """
        candidates = await self._models.order(utterance)
        turn = _ModelTurn(self, caller, utterance, emit, history, memories, reading, candidates)
        await turn.run()
        return turn.offered.names


class _ModelTurn:
    """One answer of a model: its messages, its calls, its budget."""

    def __init__(
        self,
        ours: ModelAnswers,
        caller: ToolCaller,
        utterance: str,
        emit: Emit,
        history: Sequence[TurnOut],
        memories: Sequence[str],
        reading: Reading,
        candidates: Sequence[ChatModel],
    ) -> None:
        self._models = ours._models
        self._toolset = ours._toolset
        self._grammar = ours._grammar
        self._budget = TurnBudget(ours._limits)
        self._caller = caller
        self._utterance = utterance
        self._emit = emit
        self._candidates = list(candidates)
        self._placeholder = ScriptPlaceholder(utterance)
        self._marks = DataMarks(caller.session_id)
        self.offered = OfferedTools(
            [tool for tool in self._toolset.tools.values() if caller.may_use(tool.name)],
            caller.principal,
            ours.descriptions,
            reading.tools,
            reading.needed,
            reading.offered or tuple(turn.tool for turn in history if turn.tool),
        )
        # What never changes comes first and what changes with each turn last: servers keep the longest
        # beginning that two requests share.
        instructions = self._marks.instructions()
        if (persona := caller.persona) is not None:
            instructions = f"{instructions}\n{self._marks.persona(persona)}"
        notes = self._marks.notes(f"{utcnow():%A, %Y-%m-%d}", memories, reading.hint)
        self._messages: list[Message] = [
            {"role": "system", "content": instructions},
            *(earlier := self._earlier(history)),
            {"role": "user", "content": f"{self._marks.strip(self._placeholder.text)}\n\n{notes}"},
        ]
        self._history_messages = len(earlier)
        # Results of tools, memories and descriptions of personas may hold text of others. So may text
        # that the person pastes, while their memories are their own.
        untrusted = not caller.trusts_persona or any(turn.tool is not None for turn in history)
        self._context_untrusted = untrusted or bool(memories)
        self._turn_untrusted = untrusted or has_quoted_text(utterance)
        self._calls: dict[tuple[str, str], tuple[int, str]] = {}
        self._unreported: list[Text] = []

    async def run(self) -> None:
        """Answers. When the model fails, emits the texts of its finished calls in place of its text."""
        try:
            await self._run_rounds()
        except SoundstageError:
            for text in self._unreported:
                await self._emit(text)
            raise

    async def _run_rounds(self) -> None:
        while True:
            written = await self._ask()
            text = "".join(written.text)
            if text.strip():
                self._unreported.clear()
                await self._emit(Text(text=text.strip()))
            if written.cut_short:
                # A reader of the first part learns that there is more.
                error = _cut_short()
                if not text.strip():
                    raise error
                await self._emit(Notice(code=error.code, text=error.message))
                return
            if not written.asks:
                if not text.strip():
                    raise Upstream("model.silent", "The model answered nothing.", "Say it in other words.")
                return
            self._messages.append(_assistant(text, written.asks))
            for ask in written.asks:
                await self._call(ask)

    async def _ask(self) -> _Round:
        """Asks for one round. While nothing is written, the next model takes over from one that fails."""
        written = _Round()
        waits, again = 0, False
        while True:
            self._budget.spend_call()
            if not self._candidates:
                raise Upstream("model.none", "No language model can be asked now.", "Try again later.")
            model = self._candidates[0]
            try:
                await self._stream(model, written)
                return written
            except SoundstageError as error:
                if error.code == "model.over_budget" or written.text:
                    raise
                if error.code == "model.context_full" and self._history_messages:
                    # It is asked once more without the turns before this one.
                    del self._messages[1 : 1 + self._history_messages]
                    self._history_messages = 0
                    continue
                if error.code == "model.garbled" and not again:
                    again = True
                    continue
                wait_s = float(error.headers.get("Retry-After", "inf"))
                if waits < MAX_WAITS and wait_s <= min(LONGEST_BUSY_S, self._budget.seconds_left):
                    waits += 1
                    await asyncio.sleep(wait_s)
                    continue
                if error.code == "model.loading":
                    self._models.record_failure(model)
                if len(self._candidates) < 2:
                    raise
                self._candidates.pop(0)

    async def _stream(self, model: ChatModel, written: _Round) -> None:
        loop = asyncio.get_running_loop()
        started, first_s = loop.time(), None
        left = self._budget.tokens_left
        stream = model.ask(self._messages, self.offered.schemas, max_tokens=max(min(left, ANSWER_TOKENS), 1))
        try:
            async with aclosing(stream):
                while (piece := await self._next(stream)) is not None:
                    first_s = loop.time() - started if first_s is None else first_s
                    match piece:
                        case TextPiece():
                            written.text.append(piece.text)
                            await self._emit(TextPart(text=piece.text))
                        case ToolAsk():
                            written.asks.append(piece)
                        case Usage():
                            written.tokens = piece.tokens
                        case CutShort():
                            written.cut_short = True
        except SoundstageError as error:
            if error.code not in NO_FAILURE and (error.code != "model.over_budget" or first_s is None):
                self._models.record_failure(model)
            raise
        self._models.record_success(model, loop.time() - started if first_s is None else first_s)
        sent = sum(len(str(message.get("content") or "")) for message in self._messages)
        self._budget.spend_tokens(written.tokens, sent + written.characters)

    async def _next(self, stream: AsyncGenerator[Piece, None]) -> Piece | None:
        """Returns the next piece within the turn's time limit; None at the end."""
        try:
            async with asyncio.timeout(self._budget.seconds_left):
                return await anext(stream, None)
        except TimeoutError as error:
            raise self._budget.out_of_time() from error

    async def _call(self, ask: ToolAsk) -> None:
        """Runs a call of the model, or gives it the error."""
        try:
            if ask.name == FIND_TOOLS:
                self._find_tools(ask)
                return
            call = self._prepare(ask)
        except SoundstageError as error:
            await self._report_error(ask, error)
            self._budget.spend_wrong_call()
            return
        self.offered.add(call.tool.name)
        key = (call.tool.name, call.request.model_dump_json())
        times, earlier = self._calls.get(key, (0, ""))
        if times and (call.act.effect != "read" or times >= MAX_SAME_CALLS):
            # A change is made once, however often a model repeats itself.
            self._add_result(ask, f"You have called this already. {earlier}")
            self._budget.spend_wrong_call()
            return
        if (confirmation := self._to_confirm(call)) is not None:
            self._add_result(ask, "not run: the person must confirm this. Say what would be done, and ask.")
            self._calls[key] = (1, "It waits for the person.")
            await self._emit(confirmation)
            return
        try:
            outcome = await self._caller.run(call, self._emit)
        except SoundstageError as error:
            content = await self._report_error(ask, error)
        else:
            # Not emitted now: the model says in its own words what this text says.
            self._unreported.append(outcome.text)
            if isinstance(outcome.event, ApprovalRequested):
                content = f"not run yet: {self._marks.wrap(outcome.event.message)}"
            else:
                content = self._marks.wrap(json.dumps(outcome.event.result, ensure_ascii=False))
            self._add_result(ask, content)
        self._context_untrusted = self._turn_untrusted = True
        self._calls[key] = (times + 1, content)

    def _find_tools(self, ask: ToolAsk) -> None:
        """Gives the model the tools that fit its words; the next request has them."""
        query = str(self._arguments(ask).get("query", ""))
        key = (FIND_TOOLS, query)
        if key in self._calls:
            self._add_result(ask, "You have called this already.")
            self._budget.spend_wrong_call()
            return
        self._calls[key] = (1, "")
        self._add_result(ask, self._marks.wrap(json.dumps(self.offered.find(query), ensure_ascii=False)))

    async def _report_error(self, ask: ToolAsk, error: SoundstageError) -> str:
        """Gives the model the error of its call, emits it, and returns what the model gets."""
        # It may quote what a user has named: a persona, a title.
        content = f"error: {self._marks.wrap(f'{error.message} {error.hint}'.strip())}"
        self._add_result(ask, content)
        await self._emit(
            ToolFailed(tool=ask.name or "?", code=error.code, message=error.message, hint=error.hint)
        )
        return content

    def _prepare(self, ask: ToolAsk) -> ToolCall:
        return prepare_call(self._toolset, ask.name, self._placeholder.restore(self._arguments(ask)))

    def _arguments(self, ask: ToolAsk) -> dict[str, Any]:
        try:
            arguments = json.loads(ask.arguments)
        except (ValueError, RecursionError) as error:
            raise Invalid(
                "tool.arguments_no_json", "The arguments of the tool are not JSON.", "Write one JSON object."
            ) from error
        if not isinstance(arguments, dict):
            raise Invalid(
                "tool.arguments_no_json", "The arguments of the tool are no object.", "Write one JSON object."
            )
        return arguments

    def _to_confirm(self, call: ToolCall) -> ConfirmationRequested | None:
        """Returns None when the person's own words ask for the call. Text of others can ask for nothing."""
        effect, wording = call.act.effect, self._grammar.wording(call.rule)
        looks = effect == "read" and not self._caller.sends_data(call)
        if looks and not (call.tool.reveals and self._turn_untrusted):
            return None
        chosen = call.request.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        if looks:
            if wording.requests_view(self._utterance, chosen):
                return None
        elif wording.is_named_in(self._utterance) and not (
            effect == "destructive" and self._context_untrusted
        ):
            return None
        arguments = call.request.model_dump(mode="json", exclude_none=True)
        return ConfirmationRequested(
            tool=call.tool.name,
            arguments=self._caller.for_display(arguments),
            token=call.token,
            say=self._sentence(call, wording.sentence({**_defaults_needed(arguments, chosen), **chosen})),
        )

    def _sentence(self, call: ToolCall, sentence: str) -> str:
        """Returns the sentence when it asks for this very call and no other, else nothing."""
        found = self._grammar.understand(sentence) if sentence else None
        if found is None or getattr(found, "tool", None) != call.tool.name:
            return ""
        try:
            same = prepare_call(self._toolset, call.tool.name, getattr(found, "arguments", {}))
        except SoundstageError:
            return ""
        return sentence if same.request == call.request else ""

    def _add_result(self, ask: ToolAsk, content: str) -> None:
        self._messages.append({"role": "tool", "tool_call_id": ask.id, "content": content})

    def _earlier(self, history: Sequence[TurnOut]) -> list[Message]:
        messages: list[Message] = []
        for turn in history:
            reply = turn.reply[:HISTORY_CHARS] or "(no answer)"
            messages.append({"role": "user", "content": turn.utterance[:HISTORY_CHARS]})
            messages.append(
                {"role": "assistant", "content": reply if turn.tool is None else self._marks.wrap(reply)}
            )
        return messages


def _assistant(text: str, asks: Sequence[ToolAsk]) -> Message:
    calls = [
        {"id": ask.id, "type": "function", "function": {"name": ask.name, "arguments": ask.arguments}}
        for ask in asks
    ]
    return {"role": "assistant", "content": text or None, "tool_calls": calls}


def _cut_short() -> Upstream:
    return Upstream(
        "model.cut_short",
        "The model has said as much as one answer may hold; the rest is missing.",
        "Ask for less at a time.",
    )


def _defaults_needed(arguments: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Returns arguments that a sentence must name although they have their default."""
    needed = {"persona", "render"} & arguments.keys() - chosen.keys()
    return {name: arguments[name] for name in needed}
