"""What a language model is to us: messages and tools go in, pieces of an answer come out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Message = Mapping[str, Any]
"""One message in the form of the chat completions API (`role`, `content`, `tool_calls`, `tool_call_id`)."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """The next characters of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolAsk:
    """A tool that the model wants called. `arguments` is the text it wrote, which may be no JSON at all."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that one call took, as the server counts them."""

    tokens: int


@dataclass(frozen=True, slots=True)
class CutShort:
    """The answer has reached its limit: what came is all there is. It tells no tool calls."""


Piece = TextPiece | ToolAsk | Usage | CutShort


class ChatModel(Protocol):
    """A model that can be asked."""

    @property
    def name(self) -> str:
        """How people and logs call it."""
        ...

    def ask(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], *, max_tokens: int
    ) -> AsyncGenerator[Piece, None]:
        """Streams one answer; ends normally only when the answer is complete, or after CutShort.

        Raises Upstream or Unavailable with a code `model.…`; a busy server's `Retry-After` is in `headers`.
        """
        ...
