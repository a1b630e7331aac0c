"""The ways to understand that are measured: the grammar alone, the reader, and language models."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from agent.answering.fitting_tools import fitting_tools, minimum_tools
from agent.model.backend import ChatModel, TextPiece, ToolAsk, Usage
from agent.model.instructions import DataMarks
from agent.model.offered_tools import OfferedTools
from agent.tools import ALL_TOOLS
from agent.understanding import Grammar, NotUnderstood
from agent.understanding.agreement import agreement, choose
from agent.understanding.decision import Decision
from agent.understanding.dialogue import CallRecord, Dialogue
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.references import with_referent
from bench.nlu_evaluation.cases import FOLDER, NOW, Turn, read_world
from bench.nlu_evaluation.scoring import Answer
from policy import Principal
from soundstage.errors import SoundstageError

MOST_TOKENS = 1500


class Way(Protocol):
    """Something that understands turn after turn of one case."""

    name: str

    def begin(self) -> None:
        """Forgets the dialogue before."""

    def answer(self, text: str) -> Answer: ...

    def correct(self, turn: Turn) -> None:
        """Replaces what the last answer did by what was wanted, where that is calls."""


class GrammarWay:
    """The exact templates, without any state."""

    name = "grammar"

    def __init__(self) -> None:
        self._grammar = Grammar.load()

    def begin(self) -> None:
        return None

    def correct(self, turn: Turn) -> None:
        return None

    def answer(self, text: str) -> Answer:
        started = time.process_time()
        found = self._grammar.understand(text)
        seconds = time.process_time() - started
        if isinstance(found, NotUnderstood):
            return Answer("ask" if found.several else "not understood", seconds=seconds)
        if found.tool is None:
            return Answer("chat", seconds=seconds)
        return Answer("calls", (CallRecord.of(found.tool, found.arguments),), seconds=seconds)


class ReaderWay:
    """An open question first, then the exact grammar where it matches one clause, else the interpreter.

    The Brain does so, too. Without a grammar, the interpreter alone.
    """

    def __init__(self, reader: Reader, grammar: Grammar | None = None) -> None:
        with_grammar = "reader" if reader.encoder is None else "encoder"
        self.name = "reader alone" if grammar is None else with_grammar
        self._interpreter = Interpreter(reader)
        self._world = read_world(frozenset(reader.common_words))
        self._grammar = grammar
        self.begin()

    def begin(self) -> None:
        self._before = self._dialogue = Dialogue()

    def correct(self, turn: Turn) -> None:
        calls = turn.calls_expected()
        if calls:
            decision = Decision("calls", calls=calls)
            self._dialogue = self._interpreter.next_dialogue(self._before, decision, self._world)

    def answer(self, text: str) -> Answer:
        started = time.process_time()
        decision = self._decide(text)
        seconds = time.process_time() - started
        self._before = self._dialogue
        self._dialogue = self._interpreter.next_dialogue(self._dialogue, decision, self._world)
        return Answer(decision.kind, tuple(decision.calls), seconds=seconds)

    def _decide(self, text: str) -> Decision:
        state = (text, self._world, self._dialogue, NOW)
        if self._dialogue.question is not None:
            answered = self._interpreter.answer(*state)
            if answered is not None:
                return answered
        found = None if self._grammar is None else self._grammar.understand(text)
        if found is None or isinstance(found, NotUnderstood):
            return self._interpreter.interpret(*state)
        if found.tool is None:
            return Decision("chat", about="help")
        exact = with_referent(CallRecord.of(found.tool, found.arguments), text, self._dialogue)
        if exact is None:
            return self._interpreter.interpret(*state)
        agreed = agreement(self._interpreter.reader, exact, text, self._world)
        chosen = None if agreed.is_whole else choose(exact, agreed, self._interpreter.interpret(*state))
        if chosen is None and not agreed.is_named:
            # The tool says that there is no such thing, and asks.
            return Decision("ask", about="unknown")
        return Decision("calls", calls=(exact,)) if chosen is None else chosen


class ModelWay:
    """A language model with the state of the system in its instructions, and the tools and candidates that
    the reader finds, as in the Brain; without a reader the most used tools. One answer a turn.
    """

    def __init__(self, model: ChatModel, reader: Reader | None = None) -> None:
        self.name = model.name
        self._model = model
        self._reader = reader
        self._world = read_world(frozenset(() if reader is None else reader.common_words))
        self._principal = Principal.local_admin("evaluation")
        state = (FOLDER / "world.yaml").read_text(encoding="utf-8")
        marks = DataMarks("evaluation")
        self._instructions = (
            f"{marks.instructions()}\n{marks.wrap(state)}\n{marks.notes(NOW.date().isoformat())}"
        )
        self.begin()

    def begin(self) -> None:
        self._offered: tuple[str, ...] = ()
        self._messages: list[Mapping[str, Any]] = [{"role": "system", "content": self._instructions}]

    def correct(self, turn: Turn) -> None:
        calls = turn.calls_expected()
        if calls:
            done = "; ".join(
                f"{call.intent} {json.dumps(dict(call.arguments), default=str)}" for call in calls
            )
            self._messages[-1] = {"role": "assistant", "content": f"Done: {done}"}

    def answer(self, text: str) -> Answer:
        self._messages.append({"role": "user", "content": text})
        started = time.perf_counter()
        written, asks, tokens = asyncio.run(self._ask(self._choose_tools(text)))
        seconds = time.perf_counter() - started
        try:
            calls = tuple(CallRecord.of(ask.name, json.loads(ask.arguments or "{}")) for ask in asks)
        except (ValueError, TypeError, AttributeError):
            calls, asks, written = (), [], ""
        done = "; ".join(f"{ask.name} {ask.arguments}" for ask in asks)
        self._messages.append({"role": "assistant", "content": written or f"Done: {done}"})
        kind = (
            "calls"
            if calls
            else "failed"
            if not written
            else "ask"
            if written.rstrip().endswith("?")
            else "chat"
        )
        return Answer(kind, calls, tokens, seconds)

    def _choose_tools(self, text: str) -> Sequence[Mapping[str, Any]]:
        fitting: tuple[str, ...] = ()
        needed: tuple[str, ...] = ()
        if self._reader is not None:
            read = Interpreter(self._reader).interpret(text, self._world, Dialogue(), NOW)
            fitting = fitting_tools(self._reader, text, self._world, read.candidates)
            needed = minimum_tools(read.candidates)
        offered = OfferedTools(ALL_TOOLS, self._principal, {}, fitting, needed, self._offered)
        self._offered = offered.names
        return offered.schemas

    async def _ask(self, tools: Sequence[Mapping[str, Any]]) -> tuple[str, list[ToolAsk], int]:
        text, asks, tokens = "", [], 0
        try:
            async for piece in self._model.ask(self._messages, tools, max_tokens=MOST_TOKENS):
                if isinstance(piece, TextPiece):
                    text += piece.text
                elif isinstance(piece, ToolAsk):
                    asks.append(piece)
                elif isinstance(piece, Usage):
                    tokens += piece.tokens
        except SoundstageError:
            return "", [], tokens
        return text, asks, tokens
