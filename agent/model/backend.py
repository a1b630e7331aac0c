"""The interface of a language model: messages and tools go in, pieces of an answer come out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agent.model.presets import Preset

Message = Mapping[str, Any]
"""One message in the form of the chat completions API (`role`, `content`, `tool_calls`, `tool_call_id`)."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """The next characters of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolAsk:
    """A tool call of the model. `arguments` is its text, which may be no JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Thought:
    """The next characters of the reasoning before an answer. People do not get them."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that one call took, as the server counts them; of `prompt_tokens`, it had read `cached_tokens`
    before.
    """

    tokens: int
    prompt_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class CutShort:
    """The answer has reached its limit and ends here, without tool calls."""


Piece = TextPiece | Thought | ToolAsk | Usage | CutShort


class ChatModel(Protocol):
    """One language model."""

    @property
    def name(self) -> str:
        """The name for people and logs."""
        ...

    @property
    def model(self) -> str:
        """The name that its server knows it by."""
        ...

    @property
    def preset(self) -> Preset:
        """The preset of its family, with what settings or Consul override."""
        ...

    def ask(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        *,
        max_tokens: int,
        schema: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[Piece, None]:
        """Streams one answer; ends normally only when the answer is complete, or after CutShort. `schema`: of
        the JSON that it shall be; a server that knows no schemas writes what it likes.

        Raises Upstream or Unavailable with a code `model.…`; a busy server's `Retry-After` is in `headers`.
        """
        ...


class Models(Protocol):
    """The available models, in an order that depends on how each has answered; see agent.experts.Router."""

    async def order(self, utterance: str) -> Sequence[ChatModel]:
        """Returns the models to ask, best first; none when all have failed."""
        ...

    def record_success(self, model: ChatModel, seconds: float) -> None: ...

    def record_failure(self, model: ChatModel) -> None: ...
