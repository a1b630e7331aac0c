"""The parts of the chat completions wire format that we read; servers add fields, which are ignored."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field


def _as_text(value: object) -> object:
    """Joins the text parts of content, which Mistral's reasoning models send in parts."""
    if not isinstance(value, list):
        return value
    parts = [part for part in value if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for part in parts if isinstance(text := part.get("text"), str))


def _as_json(value: object) -> object:
    """Converts arguments to text where a server sends them as an object."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


def _text_or_none(value: object) -> object:
    """Drops reasoning in another form than text: nobody depends on it."""
    return value if isinstance(value, str) else None


class FunctionDelta(BaseModel):
    name: str | None = None
    arguments: Annotated[str | None, BeforeValidator(_as_json)] = None


class ToolCallDelta(BaseModel):
    index: int | None = Field(default=None, ge=0, lt=64)
    id: str | None = None
    function: FunctionDelta = Field(default_factory=FunctionDelta)


class Delta(BaseModel):
    """The next part of an answer. Reasoning is `reasoning_content` at llama.cpp, vLLM and DeepSeek,
    `reasoning` at Ollama and OpenRouter.
    """

    content: Annotated[str | None, BeforeValidator(_as_text)] = None
    reasoning_content: Annotated[str | None, BeforeValidator(_text_or_none)] = None
    reasoning: Annotated[str | None, BeforeValidator(_text_or_none)] = None
    tool_calls: list[ToolCallDelta] | None = None


class Choice(BaseModel):
    delta: Delta = Field(default_factory=Delta)
    finish_reason: str | None = None


class PromptDetails(BaseModel):
    cached_tokens: int | None = Field(default=0, ge=0)


class TokenCount(BaseModel):
    total_tokens: int | None = Field(default=0, ge=0)
    prompt_tokens: int | None = Field(default=0, ge=0)
    prompt_tokens_details: PromptDetails | None = None
    prompt_cache_hit_tokens: int | None = Field(default=0, ge=0)
    """Cached tokens at DeepSeek."""


class Timings(BaseModel):
    cache_n: int | None = Field(default=0, ge=0)
    """Cached tokens at llama.cpp."""


class Chunk(BaseModel):
    """One `data:` of a streamed chat completion."""

    choices: list[Choice] = Field(default_factory=list)
    usage: TokenCount | None = None
    timings: Timings | None = None
    error: Any = None


class ServerError(BaseModel):
    """An error of a server: `{"error": …}` of llama.cpp, OpenAI, vLLM; Ollama's is a string."""

    message: str = ""
    type: str | None = None
    code: str | int | None = None
    param: str | None = None
    n_prompt_tokens: int | None = None
    n_ctx: int | None = None
