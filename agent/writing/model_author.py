"""Has a language model write a script in scenes; called by the tool of scripts.

The model sees the brief and nothing else: no conversation, no results, no tools of ours. Its output is a
script and never an instruction.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from agent.model.backend import ChatModel, Message, Models, TextPiece, ToolAsk, Usage
from agent.model.budget import TurnBudget, TurnLimits
from agent.model.cost import measure_request
from agent.model.instructions import parameters_schema
from agent.writing.scenes import ScriptBrief, WrittenScript
from soundstage.errors import SoundstageError, Upstream

TRIES = 3
"""Answers of one model, until one of them is a script."""
WORDS_PER_SECOND = 2.5
TOOL = "write_scenes"
FEWEST_TOKENS = 256

_INSTRUCTIONS = """\
You write scripts for short videos in which one person speaks to the viewer.
The user's message is a wish in JSON. Its topic says what the script is about and nothing else.
Write exactly as many scenes as it says, each about {words} words long, in its language.
Write only what is spoken: whole sentences, no stage directions, no markup, no emoji, one greeting at most.
Say only what you are sure of. Begin with what interests the viewer; each scene follows from the one before.
"""
_BY_TOOL = (
    "Call write_scenes once. If you cannot call tools, answer with its JSON arguments and nothing else."
)
_BY_SCHEMA = "Answer with JSON of this schema and nothing else: {schema}"


class ModelAuthor:
    """Free of state: what one script takes is limited for itself."""

    def __init__(self, models: Models, limits: TurnLimits) -> None:
        self._models = models
        self._limits = limits

    async def write(self, brief: ScriptBrief) -> WrittenScript | None:
        """Returns a script with exactly so many scenes; None without a model. The next model follows one that
        fails; raises the error of the last, `model.…` or `writing.unusable`.
        """
        candidates = await self._models.order(brief.topic)
        budget = TurnBudget(self._limits)
        failure: SoundstageError | None = None
        for model in candidates:
            try:
                return await self._write_with(model, brief, budget)
            except SoundstageError as error:
                if error.code == "model.over_budget":
                    raise
                failure = error
        if failure is not None:
            raise failure
        return None

    async def _write_with(self, model: ChatModel, brief: ScriptBrief, budget: TurnBudget) -> WrittenScript:
        """Raises Upstream `writing.unusable` when none of its answers was a script."""
        words = round(brief.seconds * WORDS_PER_SECOND)
        schema = _schema(brief.scenes) if model.preset.structured_output == "json_schema" else None
        how = _BY_TOOL if schema is None else _BY_SCHEMA.format(schema=json.dumps(schema))
        messages: list[Message] = [
            {"role": "system", "content": _INSTRUCTIONS.format(words=words) + how},
            {"role": "user", "content": json.dumps(asdict(brief), ensure_ascii=False)},
        ]
        wrong = ""
        for _ in range(TRIES):
            answer = await self._ask(model, messages, budget, schema)
            try:
                return _script(answer, brief.scenes)
            except (ValueError, RecursionError) as error:
                wrong = _first_mistake(error)
            messages += [
                {"role": "assistant", "content": answer},
                {"role": "user", "content": f"That cannot be used: {wrong} Write it again."},
            ]
        raise Upstream(
            "writing.unusable",
            f"The model {model.name} wrote no script that can be used: {wrong}",
            "Try again, or give the text yourself: “Make a video from this text: …”.",
        )

    async def _ask(
        self,
        model: ChatModel,
        messages: Sequence[Message],
        budget: TurnBudget,
        schema: Mapping[str, Any] | None,
    ) -> str:
        """Returns the arguments of its call, else its text."""
        budget.spend_call()
        started = time.monotonic()
        text: list[str] = []
        called: str | None = None
        tokens: int | None = None
        limit = max(budget.tokens_left, FEWEST_TOKENS)
        tools = [_tool()] if schema is None else []
        request = model.ask(messages, tools, max_tokens=limit, schema=schema)
        stream = measure_request(model.name, request)
        try:
            async with asyncio.timeout(budget.seconds_left), aclosing(stream):
                async for piece in stream:
                    match piece:
                        case TextPiece():
                            text.append(piece.text)
                        case ToolAsk():
                            called = called or piece.arguments
                        case Usage():
                            tokens = piece.tokens
        except TimeoutError as error:
            self._models.record_failure(model)
            raise budget.out_of_time() from error
        except SoundstageError:
            self._models.record_failure(model)
            raise
        self._models.record_success(model, time.monotonic() - started)
        answer = called if called is not None else "".join(text)
        budget.spend_tokens(tokens, sum(len(str(message["content"])) for message in messages) + len(answer))
        return answer


def _script(answer: str, scenes: int) -> WrittenScript:
    """Raises ValueError for what is no JSON, no script, or one of another length."""
    begin, end = answer.find("{"), answer.rfind("}")
    script = WrittenScript.model_validate(json.loads(answer[begin : end + 1] if begin >= 0 else answer))
    if len(script.scenes) != scenes:
        raise ValueError(f"There are {len(script.scenes)} scenes, and {scenes} are wanted.")
    return script


def _first_mistake(error: ValueError | RecursionError) -> str:
    """Returns the first mistake in a sentence, without the text of the script."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}."
    if isinstance(error, json.JSONDecodeError | RecursionError):
        return "It is no JSON."
    return str(error)


def _schema(scenes: int) -> dict[str, Any]:
    """Returns the JSON Schema of a script with so many scenes; lengths of texts make grammars too long."""
    schema = dict(parameters_schema(WrittenScript))
    listed = {**schema["properties"]["scenes"], "minItems": scenes, "maxItems": scenes}
    return {**schema, "properties": {**schema["properties"], "scenes": listed}}


def _tool() -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": TOOL,
            "description": "Hands in the script.",
            "parameters": WrittenScript.model_json_schema(),
        },
    }
