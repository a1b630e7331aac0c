"""Asks language models for the rounds of one answer: the next model after a failure, waits, budget, cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from pydantic_core import from_json

from agent import genai
from agent.events import Emit, TextPart
from agent.model.backend import (
    ChatModel,
    CutShort,
    Message,
    Models,
    Piece,
    TextPiece,
    Thought,
    ToolAsk,
    Usage,
)
from agent.model.budget import BYTES_PER_TOKEN, TurnBudget
from agent.model.cost import ModelCost, record_request
from agent.model.offered_tools import OfferedTools, schema_tokens
from soundstage.errors import SoundstageError, Upstream

ANSWER_TOKENS = 4096
LONGEST_BUSY_S = 10.0
MAX_WAITS = 3
"""How often a turn waits for a model that is busy or still being loaded."""
NO_FAILURE = ("model.context_full", "model.loading")
"""Errors that are no sign of a broken model: the router gets them only when the turn gives it up."""
SHORT_ANSWER_TOKENS = 512
THOUGHTS = "reasoning_content"


@dataclass(slots=True)
class Round:
    """The output of one request to a model."""

    text: list[str] = field(default_factory=list)
    asks: list[ToolAsk] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    usage: Usage | None = None
    cut_short: bool = False

    @property
    def characters(self) -> int:
        return sum(map(len, self.text)) + sum(len(ask.arguments) for ask in self.asks)


@dataclass
class ModelRequests:
    """The requests of one answer. `messages` are sent from the first to the last; of these, those of
    `history` messages come after the first and may go.
    """

    models: Models
    candidates: list[ChatModel]
    budget: TurnBudget
    cost: ModelCost
    offered: OfferedTools
    emit: Emit
    messages: list[Message]
    history: int

    def add_answer(self, text: str, written: Round) -> None:
        """Adds what the model wrote, with its thoughts where it wants them back."""
        calls = [
            {"id": ask.id, "type": "function", "function": {"name": ask.name, "arguments": _readable(ask)}}
            for ask in written.asks
        ]
        message = {"role": "assistant", "content": text or None, "tool_calls": calls}
        thoughts = "".join(written.thoughts) if self.candidates[0].preset.return_thoughts else ""
        self.messages.append({**message, THOUGHTS: thoughts} if thoughts else message)

    def add_result(self, ask: ToolAsk, content: str) -> None:
        self.messages.append({"role": "tool", "tool_call_id": ask.id, "content": content})

    async def ask(self) -> Round:
        """Asks for one round. While nothing is written, the next model takes over from one that fails."""
        written = Round()
        waits, again = 0, False
        while True:
            self.budget.spend_call()
            if not self.candidates:
                raise Upstream("model.none", "No language model can be asked now.", "Try again later.")
            model = self.candidates[0]
            try:
                await self._stream(model, written)
                return written
            except SoundstageError as error:
                if error.code == "model.over_budget" or written.text:
                    raise
                if error.code == "model.context_full" and self.history:
                    # It is asked once more without the turns before this one.
                    del self.messages[1 : 1 + self.history]
                    self.history = 0
                    continue
                if error.code == "model.garbled" and not again:
                    again = True
                    continue
                wait_s = float(error.headers.get("Retry-After", "inf"))
                if waits < MAX_WAITS and wait_s <= min(LONGEST_BUSY_S, self.budget.seconds_left):
                    waits += 1
                    await asyncio.sleep(wait_s)
                    continue
                if error.code == "model.loading":
                    self.models.record_failure(model)
                if len(self.candidates) < 2:
                    raise
                self.candidates.pop(0)
                # Another server may refuse a field that it does not know.
                self.messages = [
                    {name: value for name, value in one.items() if name != THOUGHTS} for one in self.messages
                ]

    async def _stream(self, model: ChatModel, written: Round) -> None:
        max_tokens = self._most_tokens(model, schema_tokens(self.offered.schemas))
        with genai.chat(model.name, model.model, max_tokens) as recorded:
            first_s = await self._read_stream(model, written, max_tokens)
            if first_s is not None:
                recorded.set_attribute(genai.RESPONSE_TIME_TO_FIRST_CHUNK, round(first_s, 3))
            if (usage := written.usage) is not None:
                recorded.set_attributes(
                    {
                        genai.USAGE_INPUT_TOKENS: usage.prompt_tokens,
                        genai.USAGE_OUTPUT_TOKENS: max(usage.tokens - usage.prompt_tokens, 0),
                        genai.USAGE_CACHE_READ_INPUT_TOKENS: usage.cached_tokens,
                    }
                )

    async def _read_stream(self, model: ChatModel, written: Round, max_tokens: int) -> float | None:
        """Returns the time to the first piece in seconds; None where nothing came."""
        loop = asyncio.get_running_loop()
        started, first_s = loop.time(), None
        written.thoughts.clear()
        stream = model.ask(self.messages, self.offered.schemas, max_tokens=max_tokens)
        try:
            async with aclosing(stream):
                while (piece := await self._next(stream)) is not None:
                    if isinstance(piece, Thought):
                        written.thoughts.append(piece.text)
                        continue
                    first_s = loop.time() - started if first_s is None else first_s
                    match piece:
                        case TextPiece():
                            written.text.append(piece.text)
                            await self.emit(TextPart(text=piece.text))
                        case ToolAsk():
                            written.asks.append(piece)
                        case Usage():
                            written.usage = piece
                        case CutShort():
                            written.cut_short = True
        except SoundstageError as error:
            if error.code not in NO_FAILURE and (error.code != "model.over_budget" or first_s is None):
                self.models.record_failure(model)
            self.cost.add(model.name, loop.time() - started, 0, 0)
            record_request(model.name, error.code, loop.time() - started, first_s, None)
            raise
        seconds = loop.time() - started
        self.models.record_success(model, seconds if first_s is None else first_s)
        counted = written.usage
        before = self.budget.tokens
        self.budget.spend_tokens(
            None if counted is None else counted.tokens, self._characters() + written.characters
        )
        cached = 0 if counted is None else counted.cached_tokens
        self.cost.add(model.name, seconds, self.budget.tokens - before, cached)
        record_request(model.name, "ok", seconds, first_s, counted)
        return first_s

    def _characters(self) -> int:
        return sum(len(str(message.get("content") or "")) for message in self.messages)

    def _most_tokens(self, model: ChatModel, tools: int) -> int:
        """Returns the limit of the next answer. Turns before this one go until a short answer has room in
        the model's context: some servers cut a request that is too long, and say nothing.
        """
        most = max(min(self.budget.tokens_left, ANSWER_TOKENS), 1)
        context = model.preset.context_tokens
        if context is None:
            return most
        while (room := context - tools - self._characters() // BYTES_PER_TOKEN) < SHORT_ANSWER_TOKENS:
            if self.history < 2:
                break
            del self.messages[1:3]
            self.history -= 2
        return min(most, max(room, SHORT_ANSWER_TOKENS))

    async def _next(self, stream: AsyncGenerator[Piece, None]) -> Piece | None:
        """Returns the next piece within the turn's time limit; None at the end."""
        try:
            async with asyncio.timeout(self.budget.seconds_left):
                return await anext(stream, None)
        except TimeoutError as error:
            raise self.budget.out_of_time() from error


def _readable(ask: ToolAsk) -> str:
    """Returns the arguments of a call as a server can read them: llama.cpp refuses every further request of a
    conversation in which they are no JSON. The result of the call says what was wrong.
    """
    try:
        arguments = from_json(ask.arguments, allow_inf_nan=False)
    except ValueError:
        return "{}"
    return ask.arguments if isinstance(arguments, dict) else "{}"
