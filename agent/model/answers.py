"""Runs one answer of a language model: rounds of text and tool calls within a budget; called by the Brain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.events import (
    ApprovalRequested,
    ConfirmationRequested,
    Emit,
    Notice,
    Text,
    ToolFailed,
)
from agent.model.backend import (
    ChatModel,
    Message,
    Models,
    ToolAsk,
)
from agent.model.budget import TurnBudget, TurnLimits
from agent.model.cost import ModelCost
from agent.model.instructions import DataMarks
from agent.model.offered_tools import FIND_TOOLS, OfferedTools, descriptions
from agent.model.placeholder import ScriptPlaceholder
from agent.model.requests import ModelRequests
from agent.sessions.schemas import TurnOut
from agent.tools.toolset import ToolCall, Toolset, prepare_call
from agent.turns.tool_call import CallOutcome, ToolCaller
from agent.understanding import Grammar
from agent.understanding.wording import has_only_own_words, has_quoted_text
from soundstage.database import utcnow
from soundstage.errors import Invalid, SoundstageError, Upstream

HISTORY_CHARS = 1500
MAX_SAME_CALLS = 2
MOST_TOGETHER = 8
"""So many calls that only read run at once."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The reader's reading of an utterance: `hint` in words, `tools` by how well they fit, the best first.

    `needed`: those without which it cannot be done; `offered`: what the last answer of the conversation had.
    """

    hint: str = ""
    tools: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()


@dataclass
class ModelAnswers:
    """Answers by language models. Free of state: a turn has its own."""

    models: Models
    toolset: Toolset
    grammar: Grammar
    limits: TurnLimits

    def __post_init__(self) -> None:
        self.descriptions = descriptions(self.toolset.tools.values(), self.grammar.help)

    async def answer(
        self,
        caller: ToolCaller,
        utterance: str,
        emit: Emit,
        history: Sequence[TurnOut],
        memories: Sequence[str] = (),
        reading: Reading = Reading(),
        cost: ModelCost | None = None,
    ) -> tuple[str, ...]:
        """Emits the events of one answer; `memories` are related to the utterance. Returns the tools that
        the model had, for the next answer of the conversation; adds to `cost`, also when it fails.

        Raises SoundstageError `model.…` when the model could not give one.
        """
        candidates = await self.models.order(utterance)
        turn = _ModelTurn(
            self, caller, utterance, emit, history, memories, reading, candidates, cost or ModelCost()
        )
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
        cost: ModelCost,
    ) -> None:
        self._toolset = ours.toolset
        self._grammar = ours.grammar
        self._budget = TurnBudget(ours.limits)
        self._caller = caller
        self._utterance = utterance
        self._emit = emit
        self._placeholder = ScriptPlaceholder(utterance)
        self._marks = DataMarks(caller.session_id)
        self.offered = OfferedTools(
            [tool for tool in self._toolset.tools.values() if caller.may_use(tool.name)],
            caller.principal,
            ours.descriptions,
            reading.tools,
            reading.needed,
            reading.offered or tuple(turn.tool for turn in history if turn.tool),
            self._marks,
        )
        # What never changes comes first and what changes with each turn last: servers keep the longest
        # beginning that two requests share.
        instructions = self._marks.instructions()
        if (persona := caller.persona) is not None:
            instructions = f"{instructions}\n{self._marks.persona(persona)}"
        notes = self._marks.notes(f"{utcnow():%A, %Y-%m-%d}", memories, reading.hint)
        earlier = self._earlier(history)
        messages: list[Message] = [
            {"role": "system", "content": instructions},
            *earlier,
            {"role": "user", "content": f"{self._marks.strip(self._placeholder.text)}\n\n{notes}"},
        ]
        self._requests = ModelRequests(
            ours.models,
            list(candidates),
            self._budget,
            cost,
            self.offered,
            emit,
            messages,
            len(earlier),
        )
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
            written = await self._requests.ask()
            text = "".join(written.text)
            if text.strip():
                self._unreported.clear()
                await self._emit(Text(text=text.strip()))
            if written.cut_short:
                # A reader of the first part learns that there is more.
                error = Upstream(
                    "model.cut_short",
                    "The model has said as much as one answer may hold; the rest is missing.",
                    "Ask for less at a time.",
                )
                if not text.strip():
                    raise error
                await self._emit(Notice(code=error.code, text=error.message))
                return
            if not written.asks:
                if not text.strip():
                    raise Upstream("model.silent", "The model answered nothing.", "Say it in other words.")
                return
            self._requests.add_answer(text, written)
            await self._call_all(written.asks)

    async def _call_all(self, asks: Sequence[ToolAsk]) -> None:
        """Runs the calls of one answer in order. Those that follow each other and only read run at once."""
        together: list[tuple[ToolAsk, ToolCall]] = []
        for ask in asks:
            call = self._prepared(ask)
            if (
                isinstance(call, ToolCall)
                and self._only_reads(call)
                and call not in [one for _, one in together]
                and len(together) < MOST_TOGETHER
            ):
                together.append((ask, call))
                continue
            await self._run_together(together)
            together = []
            if isinstance(call, ToolCall):
                await self._call(ask, call)
            elif call is not None:
                await self._report_error(ask, call)
                self._budget.spend_wrong_call()
        await self._run_together(together)

    def _prepared(self, ask: ToolAsk) -> ToolCall | SoundstageError | None:
        """Returns the call or what is wrong with it; None for a search of tools, which is answered here."""
        try:
            if ask.name == FIND_TOOLS:
                self._find_tools(ask)
                return None
            arguments = self._placeholder.restore(self._arguments(ask))
            call = prepare_call(self._toolset, ask.name, arguments)
        except SoundstageError as error:
            return error
        self.offered.add(call.tool.name)
        return call

    def _only_reads(self, call: ToolCall) -> bool:
        """Returns whether a call changes nothing, is for every ear, and was not made before."""
        own = call.act.effect == "read" and not call.tool.reveals and not self._caller.sends_data(call)
        return own and _key(call) not in self._calls

    async def _run_together(self, asks: Sequence[tuple[ToolAsk, ToolCall]]) -> None:
        if len(asks) < 2:
            for ask, call in asks:
                await self._call(ask, call)
            return
        outcomes = await self._caller.run_together([call for _, call in asks], self._emit)
        for (ask, call), outcome in zip(asks, outcomes, strict=True):
            await self._end_call(ask, call, outcome)

    async def _call(self, ask: ToolAsk, call: ToolCall) -> None:
        """Runs a call of the model where the person asks for it, and gives it the result or the error."""
        key = _key(call)
        times, earlier = self._calls.get(key, (0, ""))
        if times and (call.act.effect != "read" or times >= MAX_SAME_CALLS):
            # A change is made once, however often a model repeats itself.
            self._requests.add_result(ask, f"You have called this already. {earlier}")
            self._budget.spend_wrong_call()
            return
        if (confirmation := self._to_confirm(call)) is not None:
            self._requests.add_result(
                ask, "not run: the person must confirm this. Say what would be done, and ask."
            )
            self._calls[key] = (1, "It waits for the person.")
            await self._emit(confirmation)
            return
        outcome: CallOutcome | SoundstageError
        try:
            outcome = await self._caller.run(call, self._emit)
        except SoundstageError as error:
            outcome = error
        await self._end_call(ask, call, outcome)

    async def _end_call(self, ask: ToolAsk, call: ToolCall, outcome: CallOutcome | SoundstageError) -> None:
        if isinstance(outcome, SoundstageError):
            content = await self._report_error(ask, outcome)
        else:
            # Not emitted now: the model says in its own words what this text says.
            self._unreported.append(outcome.text)
            if isinstance(outcome.event, ApprovalRequested):
                content = f"not run yet: {self._marks.wrap(outcome.event.message)}"
            else:
                content = self._marks.wrap(json.dumps(outcome.event.result, ensure_ascii=False))
            self._requests.add_result(ask, content)
        self._context_untrusted = self._turn_untrusted = True
        times, _ = self._calls.get(_key(call), (0, ""))
        self._calls[_key(call)] = (times + 1, content)

    def _find_tools(self, ask: ToolAsk) -> None:
        """Gives the model the tools that fit its words; the next request has them."""
        query = str(self._arguments(ask).get("query", ""))
        key = (FIND_TOOLS, query)
        if key in self._calls:
            self._requests.add_result(ask, "You have called this already.")
            self._budget.spend_wrong_call()
            return
        self._calls[key] = (1, "")
        self._requests.add_result(
            ask, self._marks.wrap(json.dumps(self.offered.find(query), ensure_ascii=False))
        )

    async def _report_error(self, ask: ToolAsk, error: SoundstageError) -> str:
        """Gives the model the error of its call, emits it, and returns what the model gets."""
        # It may quote what a user has named: a persona, a title.
        content = f"error: {self._marks.wrap(f'{error.message} {error.hint}'.strip())}"
        self._requests.add_result(ask, content)
        await self._emit(
            ToolFailed(tool=ask.name or "?", code=error.code, message=error.message, hint=error.hint)
        )
        return content

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
        chosen = call.request.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        if call.tool.mcp_server:
            # What it gets leaves us, and its description may ask for more than the person has.
            if looks and has_only_own_words(self._utterance, chosen):
                return None
        elif looks and not (call.tool.reveals and self._turn_untrusted):
            return None
        elif looks:
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

    def _earlier(self, history: Sequence[TurnOut]) -> list[Message]:
        messages: list[Message] = []
        for turn in history:
            reply = turn.reply[:HISTORY_CHARS] or "(no answer)"
            messages.append({"role": "user", "content": turn.utterance[:HISTORY_CHARS]})
            messages.append(
                {"role": "assistant", "content": reply if turn.tool is None else self._marks.wrap(reply)}
            )
        return messages


def _key(call: ToolCall) -> tuple[str, str]:
    return call.tool.name, call.request.model_dump_json()


def _defaults_needed(arguments: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Returns arguments that a sentence must name although they have their default."""
    needed = {"persona", "render"} & arguments.keys() - chosen.keys()
    return {name: arguments[name] for name in needed}
