"""The parts of the chat completions wire format that we read; servers add fields, which are ignored."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class FunctionDelta(_Wire):
    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(_Wire):
    index: int = Field(default=0, ge=0, lt=64)
    id: str | None = None
    function: FunctionDelta = Field(default_factory=FunctionDelta)


class Delta(_Wire):
    content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class Choice(_Wire):
    delta: Delta = Field(default_factory=Delta)
    finish_reason: str | None = None


class TokenCount(_Wire):
    total_tokens: int = Field(default=0, ge=0)


class Chunk(_Wire):
    """One `data:` of a streamed chat completion."""

    choices: list[Choice] = Field(default_factory=list)
    usage: TokenCount | None = None
    error: object | None = None
