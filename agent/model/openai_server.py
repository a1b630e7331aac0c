"""Asks a server that speaks OpenAI's chat completions: llama.cpp, Ollama, vLLM, cloud providers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import httpx
from pydantic import ValidationError

from agent.model.backend import Message, Piece, TextPiece, ToolAsk, Usage
from agent.model.event_stream import TooMuch, sse_data
from agent.model.wire import Choice, Chunk
from soundstage.errors import Unavailable, Upstream
from soundstage.tracing import traceparent

ANSWER_BYTES = 4 << 20
"""The wire form of the longest answer that is read; a token takes about 200 bytes there."""
CONNECT_S = 5.0
MAX_BUSY_S = 3600.0
END_MARK = "[DONE]"


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
    ) -> None:
        """`base_url` up to and including `/v1`; `silence_s` is the longest wait for the next bytes."""
        self._name = name
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._model = model
        self._api_key = api_key
        self._silence_s = silence_s

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
            "max_tokens": max_tokens,
        }
        if tools:
            body["tools"] = list(tools)
        key = await asyncio.to_thread(self._api_key)
        headers = {"Accept": "text/event-stream", "traceparent": traceparent()}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        timeout = httpx.Timeout(self._silence_s, connect=min(CONNECT_S, self._silence_s))
        try:
            async with (
                httpx.AsyncClient(timeout=timeout, trust_env=False) as client,
                client.stream("POST", self._url, json=body, headers=headers) as answer,
            ):
                self._check(answer)
                async with aclosing(self._pieces(answer)) as pieces:
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

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code == 429:
            wait_s = retry_after_s(answer.headers)
            raise Unavailable(
                "model.busy",
                f"The model {self._name} has too much to do.",
                "Try again later.",
                headers={} if wait_s is None else {"Retry-After": f"{wait_s:g}"},
            )
        if answer.status_code != 200:
            raise Upstream(
                "model.refused",
                f"The server of the model {self._name} answered with status {answer.status_code}.",
                "Its log says more; check model and api_key_file in the settings.",
            )
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            raise self._nonsense()

    async def _pieces(self, answer: httpx.Response) -> AsyncGenerator[Piece, None]:
        """Text as it comes; tools when the answer is whole, because half a call must never be made."""
        asks: dict[int, _Gathered] = {}
        finished = False
        try:
            async with aclosing(sse_data(answer.aiter_bytes(), limit=ANSWER_BYTES)) as events:
                async for data in events:
                    if data.strip() == END_MARK:
                        finished = True
                        break
                    chunk = self._chunk(data)
                    if chunk.usage is not None and chunk.usage.total_tokens:
                        yield Usage(chunk.usage.total_tokens)
                    for choice in chunk.choices[:1]:
                        finished = finished or choice.finish_reason is not None
                        _gather(choice, asks)
                        if choice.delta.content:
                            yield TextPiece(choice.delta.content)
        except TooMuch as error:
            raise Upstream(
                "model.too_long",
                f"The answer of the model {self._name} is longer than can be used.",
                "Ask for less at a time.",
            ) from error
        if not finished:
            raise self._cut_off()
        for index in sorted(asks):
            yield asks[index].ask(index)

    def _chunk(self, data: str) -> Chunk:
        try:
            chunk = Chunk.model_validate_json(data)
        except ValidationError as error:
            raise self._nonsense() from error
        if chunk.error is not None:
            raise self._nonsense()
        return chunk

    def _nonsense(self) -> Upstream:
        return Upstream(
            "model.nonsense",
            f"The server of the model {self._name} answered in a form that is not chat completions.",
            "Check base_url in the settings: it ends with /v1.",
        )

    def _cut_off(self) -> Upstream:
        return Upstream("model.cut_off", f"The answer of the model {self._name} broke off.", "Ask again.")


class _Gathered:
    """The pieces of one tool call."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def ask(self, index: int) -> ToolAsk:
        return ToolAsk(self.id or f"call_{index}", self.name, "".join(self.arguments) or json.dumps({}))


def _gather(choice: Choice, asks: dict[int, _Gathered]) -> None:
    for delta in choice.delta.tool_calls or ():
        gathered = asks.setdefault(delta.index, _Gathered())
        gathered.id = gathered.id or (delta.id or "")[:128]
        gathered.name = gathered.name or (delta.function.name or "")[:128]
        gathered.arguments.append(delta.function.arguments or "")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds (RFC 9110 §10.2.3); its other form, a date, is treated as not said."""
    text = headers.get("retry-after", headers.get("Retry-After", "")).strip()
    return min(float(text), MAX_BUSY_S) if text.isascii() and text.isdigit() and len(text) < 9 else None
