"""One answer by a model: it writes, calls tools, is corrected, stops in time; called by the Brain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.events import (
    ApprovalAsked,
    BrainEvent,
    ConfirmationAsked,
    Notice,
    Text,
    TextPart,
    ToolFailed,
    ToolReturned,
)
from agent.model.backend import ChatModel, CutShort, Message, Piece, TextPiece, ToolAsk, Usage
from agent.model.budget import TurnBudget, TurnLimits
from agent.model.instructions import DataMarks, tool_schemas
from agent.model.placeholders import ScriptPlaceholder
from agent.sessions.schemas import TurnOut
from agent.tools.toolset import ToolCall, Toolset, prepare_call
from agent.turns.tool_call import ToolCaller
from agent.understanding import Grammar
from agent.understanding.wording import holds_words_of_others
from soundstage.database import utcnow
from soundstage.errors import Invalid, SoundstageError, Upstream

ANSWER_TOKENS = 4096
HISTORY_CHARS = 1500
SAME_CALLS = 2
LONGEST_BUSY_S = 10.0
MOST_WAITS = 3
"""So often a busy model, or one that is still being loaded, is asked again in one turn."""
NOT_ITS_FAULT = ("model.context_full", "model.loading")
"""What tells nothing of how a model does: the router hears of these only when it was given up."""


class Models(Protocol):
    """The models that there are; told how each did, so that it can choose better."""

    async def order(self, utterance: str) -> Sequence[ChatModel]:
        """Whom to ask, best first; empty when nobody is fit."""
        ...

    def answered(self, model: ChatModel, seconds: float) -> None: ...

    def failed(self, model: ChatModel) -> None: ...


@dataclass(slots=True)
class _Round:
    """What the model wrote in one call."""

    text: list[str] = field(default_factory=list)
    asks: list[ToolAsk] = field(default_factory=list)
    tokens: int | None = None
    cut_short: bool = False

    @property
    def characters(self) -> int:
        return sum(map(len, self.text)) + sum(len(ask.arguments) for ask in self.asks)


class ModelAnswers:
    """Free of state: all that a turn needs is made for the turn."""

    def __init__(self, models: Models, toolset: Toolset, grammar: Grammar, limits: TurnLimits) -> None:
        self._models = models
        self._toolset = toolset
        self._grammar = grammar
        self._limits = limits

    async def answer(
        self, caller: ToolCaller, utterance: str, history: Sequence[TurnOut], known: Sequence[str] = ()
    ) -> AsyncGenerator[BrainEvent, None]:
        """The events of one answer; `known` are memories that have to do with it.

        Raises SoundstageError `model.…` when the model could not give one.
        """
        candidates = await self._models.order(utterance)
        async with aclosing(_Turn(self, caller, utterance, history, known, candidates).events()) as events:
            async for event in events:
                yield event


class _Turn:
    """One answer in the making."""

    def __init__(
        self,
        ours: ModelAnswers,
        caller: ToolCaller,
        utterance: str,
        history: Sequence[TurnOut],
        known: Sequence[str],
        candidates: Sequence[ChatModel],
    ) -> None:
        self._models = ours._models
        self._toolset = ours._toolset
        self._grammar = ours._grammar
        self._budget = TurnBudget(ours._limits)
        self._caller = caller
        self._utterance = utterance
        self._candidates = list(candidates)
        self._kept = ScriptPlaceholder(utterance)
        self._marks = DataMarks()
        self._tools = tool_schemas(
            [tool for tool in self._toolset.tools.values() if caller.may_use(tool.name)], caller.principal
        )
        told = self._marks.instructions(f"{utcnow():%A, %Y-%m-%d}", known)
        if (persona := caller.persona) is not None:
            told = f"{told}\n{self._marks.persona(persona)}"
        self._messages: list[Message] = [
            {"role": "system", "content": told},
            *(earlier := self._earlier(history)),
            {"role": "user", "content": self._kept.shown},
        ]
        self._earlier_told = len(earlier)
        # What a tool returned in this conversation, what was remembered, and how a persona is described may
        # hold words of others; so may what the person has pasted, while what they had remembered is theirs.
        told_before = not caller.persona_is_the_operators or any(turn.tool is not None for turn in history)
        self._outside_seen = told_before or bool(known)
        self._others_heard = told_before or holds_words_of_others(utterance)
        self._made: dict[tuple[str, str], tuple[int, str]] = {}
        self._untold: list[str] = []

    async def events(self) -> AsyncGenerator[BrainEvent, None]:
        """Whatever becomes of the model, what its tools have done is told: by it, or by their sentences."""
        try:
            async with aclosing(self._rounds()) as rounds:
                async for event in rounds:
                    if isinstance(event, Text):
                        self._untold.clear()
                    yield event
        except SoundstageError:
            for sentence in self._untold:
                yield Text(text=sentence)
            raise

    async def _rounds(self) -> AsyncGenerator[BrainEvent, None]:
        while True:
            written = _Round()
            async with aclosing(self._asked(written)) as parts:
                async for part in parts:
                    yield part
            text = "".join(written.text)
            if text.strip():
                yield Text(text=text.strip())
            if written.cut_short:
                # Whoever has read so much is told that there was more to come.
                error = _cut_short()
                if not text.strip():
                    raise error
                yield Notice(code=error.code, text=error.message)
                return
            if not written.asks:
                if not text.strip():
                    raise Upstream("model.silent", "The model answered nothing.", "Say it in other words.")
                return
            self._messages.append(_assistant(text, written.asks))
            for ask in written.asks:
                async with aclosing(self._called(ask)) as called:
                    async for event in called:
                        yield event

    async def _asked(self, written: _Round) -> AsyncGenerator[TextPart, None]:
        """One call of the model. While it has said nothing, the next one takes over from one that fails."""
        waits, again = 0, False
        while True:
            self._budget.spend_call()
            if not self._candidates:
                raise Upstream("model.none", "No language model can be asked now.", "Try again later.")
            model = self._candidates[0]
            try:
                async with aclosing(self._streamed(model, written)) as parts:
                    async for part in parts:
                        yield part
                return
            except SoundstageError as error:
                if error.code == "model.over_budget" or written.text:
                    raise
                if error.code == "model.context_full" and self._earlier_told:
                    # It is asked once more without what was said before this turn.
                    del self._messages[1 : 1 + self._earlier_told]
                    self._earlier_told = 0
                    continue
                if error.code == "model.garbled" and not again:
                    again = True
                    continue
                wait_s = float(error.headers.get("Retry-After", "inf"))
                if waits < MOST_WAITS and wait_s <= min(LONGEST_BUSY_S, self._budget.seconds_left):
                    waits += 1
                    await asyncio.sleep(wait_s)
                    continue
                if error.code == "model.loading":
                    self._models.failed(model)
                if len(self._candidates) < 2:
                    raise
                self._candidates.pop(0)

    async def _streamed(self, model: ChatModel, written: _Round) -> AsyncGenerator[TextPart, None]:
        loop = asyncio.get_running_loop()
        started, first_s = loop.time(), None
        left = self._budget.tokens_left
        stream = model.ask(self._messages, self._tools, max_tokens=max(min(left, ANSWER_TOKENS), 1))
        try:
            async with aclosing(stream):
                while (piece := await self._next(stream)) is not None:
                    first_s = loop.time() - started if first_s is None else first_s
                    match piece:
                        case TextPiece():
                            written.text.append(piece.text)
                            yield TextPart(text=piece.text)
                        case ToolAsk():
                            written.asks.append(piece)
                        case Usage():
                            written.tokens = piece.tokens
                        case CutShort():
                            written.cut_short = True
        except SoundstageError as error:
            if error.code not in NOT_ITS_FAULT and (error.code != "model.over_budget" or first_s is None):
                self._models.failed(model)
            raise
        self._models.answered(model, loop.time() - started if first_s is None else first_s)
        sent = sum(len(str(message.get("content") or "")) for message in self._messages)
        self._budget.spend_tokens(written.tokens, sent + written.characters)

    async def _next(self, stream: AsyncGenerator[Piece, None]) -> Piece | None:
        """The next piece within what is left of the turn's time; None at the end."""
        try:
            async with asyncio.timeout(self._budget.seconds_left):
                return await anext(stream, None)
        except TimeoutError as error:
            raise self._budget.out_of_time() from error

    async def _called(self, ask: ToolAsk) -> AsyncGenerator[BrainEvent, None]:
        """Does what the model asks for, or tells it why not."""
        try:
            call = self._prepared(ask)
        except SoundstageError as error:
            self._tell(ask, f"error: {self._marks.wrap(_told(error))}")
            yield ToolFailed(tool=ask.name or "?", code=error.code, message=error.message, hint=error.hint)
            self._budget.spend_wrong_call()
            return
        key = (call.tool.name, call.request.model_dump_json())
        times, earlier = self._made.get(key, (0, ""))
        if times and (call.act.effect != "read" or times >= SAME_CALLS):
            # A change is made once, however often a model repeats itself.
            self._tell(ask, f"You have called this already. {earlier}")
            self._budget.spend_wrong_call()
            return
        if (confirmation := self._to_confirm(call)) is not None:
            self._tell(ask, "not run: the person must confirm this. Say what would be done, and ask.")
            self._made[key] = (1, "It waits for the person.")
            yield confirmation
            return
        content = ""
        try:
            async with aclosing(self._caller.run(call)) as events:
                async for event in events:
                    if isinstance(event, ToolReturned):
                        content = self._marks.wrap(json.dumps(event.result, ensure_ascii=False))
                    if isinstance(event, ApprovalAsked):
                        content = f"not run yet: {self._marks.wrap(event.message)}"
                    if isinstance(event, Text):
                        # Kept back: the model says in its own words what this sentence says.
                        self._untold.append(event.text)
                    else:
                        yield event
        except SoundstageError as error:
            # It may name what somebody else has named: a persona, a title.
            content = f"error: {self._marks.wrap(_told(error))}"
            yield ToolFailed(tool=ask.name, code=error.code, message=error.message, hint=error.hint)
        self._outside_seen = self._others_heard = True
        self._made[key] = (times + 1, content)
        self._tell(ask, content)

    def _prepared(self, ask: ToolAsk) -> ToolCall:
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
        return prepare_call(self._toolset, ask.name, self._kept.restore(arguments))

    def _to_confirm(self, call: ToolCall) -> ConfirmationAsked | None:
        """None when the person's own words ask for it. What was read meanwhile can ask for nothing."""
        effect, wording = call.act.effect, self._grammar.wording(call.rule)
        looks = effect == "read" and not self._caller.gives_away(call)
        if looks and not (call.tool.reveals and self._others_heard):
            return None
        chosen = call.request.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        if looks:
            if wording.looks_asked_for(self._utterance, chosen):
                return None
        elif wording.named_in(self._utterance) and not (effect == "destructive" and self._outside_seen):
            return None
        arguments = call.request.model_dump(mode="json", exclude_none=True)
        return ConfirmationAsked(
            tool=call.tool.name,
            arguments=self._caller.shown(arguments),
            say=self._sentence(call, wording.sentence({**_defaults_needed(arguments, chosen), **chosen})),
        )

    def _sentence(self, call: ToolCall, sentence: str) -> str:
        """The sentence, when it asks for this very call and no other."""
        found = self._grammar.understand(sentence) if sentence else None
        if found is None or getattr(found, "tool", None) != call.tool.name:
            return ""
        try:
            same = prepare_call(self._toolset, call.tool.name, getattr(found, "arguments", {}))
        except SoundstageError:
            return ""
        return sentence if same.request == call.request else ""

    def _tell(self, ask: ToolAsk, content: str) -> None:
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


def _told(error: SoundstageError) -> str:
    return f"{error.message} {error.hint}".strip()


def _defaults_needed(arguments: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that a sentence must name although they have their default."""
    needed = {"persona", "render"} & arguments.keys() - chosen.keys()
    return {name: arguments[name] for name in needed}
