"""Asks a server that speaks OpenAI's chat completions: llama.cpp, Ollama, vLLM, cloud providers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import httpx
from pydantic import ValidationError

from agent.model.backend import CutShort, Message, Piece, TextPiece, Usage
from agent.model.pieces import ReasoningFilter, ToolCallAssembler
from agent.model.refusals import parse_error, refusal, wants_other_limit
from agent.model.wire import Chunk
from soundstage.errors import Unavailable, Upstream
from soundstage.http import Bounds, Destinations, OwnListeners, outgoing_client
from soundstage.http.event_stream import TooMuch, stream_events
from soundstage.settings.sections import LlmSettings, LlmsSettings
from soundstage.tracing import traceparent

ANSWER_BYTES = 4 << 20
"""The wire form of the longest answer that is read; a token takes about 250 bytes there."""
REFUSAL_BYTES = 64 << 10
CONNECT_S = 5.0
END_MARK = "[DONE]"
CUT = "length"
"""`finish_reason` of an answer that has reached `max_tokens` or the end of the context."""


class OpenAiServer:
    """One model on one server. Holds no connection between answers."""

    def __init__(
        self,
        name: str,
        base_url: str,
        model: str,
        *,
        api_key: Callable[[], str | None] = lambda: None,
        silence_s: float = 60.0,
        listeners: OwnListeners = OwnListeners(),
    ) -> None:
        """`base_url` up to and including `/v1`; `silence_s` is the longest wait for the next bytes. None of
        `listeners` is called.
        """
        self._name = name
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._model = model
        self._api_key = api_key
        self._destinations = Destinations(listeners, named_by_operator=True)
        # An error body is longer than its message, and every token has a wire form of its own.
        self._bounds = Bounds(silence_s, answer_bytes=2 * ANSWER_BYTES, connect_s=CONNECT_S)
        self._limit_name = "max_tokens"

    @property
    def name(self) -> str:
        return self._name

    async def ask(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], *, max_tokens: int
    ) -> AsyncGenerator[Piece, None]:
        """Streams one answer; see ChatModel."""
        body: dict[str, Any] = {
            "model": self._model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if tools:
            body["tools"] = list(tools)
        key = await asyncio.to_thread(self._api_key)
        headers = {"Accept": "text/event-stream", "traceparent": traceparent()}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        try:
            async with (
                outgoing_client(self._destinations, self._bounds) as client,
                aclosing(self._answers(client, body, headers, max_tokens)) as pieces,
            ):
                async for piece in pieces:
                    yield piece
        except httpx.TimeoutException as error:
            raise Upstream(
                "model.slow",
                f"The model {self._name} did not answer in time.",
                "Try again, or raise timeout_s of the model in the settings.",
                status=504,
            ) from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.DecodingError):
                raise self._cut_off() from error
            raise Unavailable(
                "model.unreachable",
                f"The model {self._name} cannot be reached.",
                "Check that its server runs, and base_url in the settings.",
            ) from error

    async def _answers(
        self, client: httpx.AsyncClient, body: Mapping[str, Any], headers: Mapping[str, str], max_tokens: int
    ) -> AsyncGenerator[Piece, None]:
        """Asks, and once more when the server wants the token limit under its other name."""
        for last in (False, True):
            request = {**body, self._limit_name: max_tokens}
            async with client.stream("POST", self._url, json=request, headers=dict(headers)) as answer:
                if answer.status_code != 200:
                    error = parse_error(await _beginning(answer))
                    if last or not wants_other_limit(answer.status_code, error):
                        raise refusal(self._name, answer.status_code, error, answer.headers)
                    self._limit_name = "max_completion_tokens"
                    continue
                if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                    raise self._nonsense()
                async with aclosing(self._pieces(answer)) as pieces:
                    async for piece in pieces:
                        yield piece
                return

    async def _pieces(self, answer: httpx.Response) -> AsyncGenerator[Piece, None]:
        """Yields text as it comes, and tool calls when the answer is whole: half a call must never run."""
        calls, text_filter = ToolCallAssembler(), ReasoningFilter()
        finish: str | None = None
        try:
            async with aclosing(stream_events(answer.aiter_bytes(), limit=ANSWER_BYTES)) as events:
                async for event in events:
                    if event.data.strip() == END_MARK:
                        finish = finish or END_MARK
                        break
                    chunk = self._chunk(event.data)
                    if chunk.usage is not None and chunk.usage.total_tokens:
                        yield Usage(chunk.usage.total_tokens)
                    for choice in chunk.choices[:1]:
                        finish = choice.finish_reason or finish
                        for delta in choice.delta.tool_calls or ():
                            calls.add(delta)
                        if text := text_filter.next(choice.delta.content or ""):
                            yield TextPiece(text)
        except TooMuch as error:
            raise Upstream(
                "model.too_long",
                f"The answer of the model {self._name} is longer than can be used.",
                "Ask for less at a time.",
            ) from error
        if finish is None:
            raise self._cut_off()
        if text := text_filter.rest():
            yield TextPiece(text)
        if finish == CUT:
            yield CutShort()
            return
        for ask in calls.asks():
            yield ask

    def _chunk(self, data: str) -> Chunk:
        try:
            chunk = Chunk.model_validate_json(data)
        except ValidationError as error:
            raise self._nonsense() from error
        if chunk.error is not None:
            raise refusal(self._name, None, parse_error(chunk.error))
        return chunk

    def _nonsense(self) -> Upstream:
        return Upstream(
            "model.nonsense",
            f"The server of the model {self._name} answered in a form that is not chat completions.",
            "Check base_url in the settings: it ends with /v1.",
        )

    def _cut_off(self) -> Upstream:
        return Upstream("model.cut_off", f"The answer of the model {self._name} broke off.", "Ask again.")


async def _beginning(answer: httpx.Response) -> bytes:
    """Returns the beginning of an error body, which may be of any length."""
    body = b""
    async for part in answer.aiter_bytes():
        body += part
        if len(body) >= REFUSAL_BYTES:
            break
    return body


def build_servers(
    settings: LlmsSettings, listeners: OwnListeners
) -> Iterator[tuple[LlmSettings, OpenAiServer]]:
    """Yields the models of the settings in the preferred order."""
    order = {"local": ("local", "cloud"), "cloud": ("cloud", "local"), "none": ()}[settings.prefer]
    for name in order:
        one = settings.local if name == "local" else settings.cloud
        if one.base_url is not None:
            yield (
                one,
                OpenAiServer(
                    name,
                    str(one.base_url),
                    one.model,
                    api_key=one.api_key,
                    silence_s=one.timeout_s,
                    listeners=listeners,
                ),
            )
