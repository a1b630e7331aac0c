"""Asks a server that speaks OpenAI's chat completions: llama.cpp, Ollama, vLLM, cloud providers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic import ValidationError

from agent.model.backend import CutShort, Message, Piece, TextPiece, Thought, Usage
from agent.model.pieces import ReasoningFilter, ToolCallAssembler
from agent.model.presets import SETTABLE, Preset, preset_for
from agent.model.wire import Chunk, ServerError, Timings, TokenCount
from soundstage.errors import SoundstageError, Unavailable, Upstream
from soundstage.http import NO_LISTENERS, Bounds, Destinations, OwnListeners, outgoing_client
from soundstage.http.event_stream import TooMuch, stream_events
from soundstage.one_line import one_line
from soundstage.settings.sections import LlmSettings, LlmsSettings
from soundstage.telemetry import mask_text
from soundstage.tracing import traceparent

ANSWER_BYTES = 4 << 20
"""The wire form of the longest answer that is read; a token takes about 250 bytes there."""
REFUSAL_BYTES = 64 << 10
CONNECT_S = 5.0
END_MARK = "[DONE]"
CUT = "length"
"""`finish_reason` of an answer that has reached `max_tokens` or the end of the context."""


MAX_BUSY_S = 3600.0
LOADING_S = 3.0
"""When to ask again a server that still loads its weights."""
MAX_MESSAGE_CHARS = 200
BUSY = (429, 503, 529)
"""Too many requests; overloaded, at most servers; the same at Anthropic."""
_CONTEXT_CODES = {"exceed_context_size_error", "context_length_exceeded"}
"""The type at llama.cpp, the code at OpenAI."""
_CONTEXT_WORDS = re.compile(r"maximum context length|exceeds? the .*context (size|length|window)", re.I)
_UNREADABLE = re.compile(
    r"^(got exception: )?"
    r"(The model produced output that does not match|Failed to parse input|Invalid diff: "
    r"|Unexpected empty grammar stack)"
)
"""llama.cpp, of a tool call that is none: as a whole, at a token that its grammar does not allow, or when it
reads fewer calls than before. Groq has a code for it, `tool_use_failed`."""
_LIMIT_NAME = "max_completion_tokens"
_SCHEMA_FIELD = "response_format"
_PRESET_FIELDS = (
    _SCHEMA_FIELD,
    *("temperature", "tool_choice", "parallel_tool_calls", "reasoning_effort", "chat_template_kwargs"),
)


def parse_error(body: bytes | object) -> ServerError:
    """Returns the error of a server; an empty one when it cannot be read."""
    try:
        data = json.loads(body) if isinstance(body, bytes) else {"error": body}
        error = data.get("error", data) if isinstance(data, dict) else data
        return ServerError.model_validate({"message": error} if isinstance(error, str) else error)
    except (ValueError, RecursionError, ValidationError):
        return ServerError()


def wants_other_limit(status: int, error: ServerError) -> bool:
    """Returns whether the server wants `max_completion_tokens`, as OpenAI does for reasoning models."""
    return status == 400 and _LIMIT_NAME in error.message


def field_to_drop(status: int, error: ServerError, request: Mapping[str, Any]) -> str | None:
    """Returns the field of a preset that the server does not want, as `temperature` at reasoning models."""
    if status not in (400, 422):
        return None
    words = f"{error.param or ''} {error.message}"
    return next((name for name in _PRESET_FIELDS if name in request and name in words), None)


def refusal(
    name: str, status: int | None, error: ServerError, headers: Mapping[str, str] | None = None
) -> SoundstageError:
    """Returns the error for one answer of the server of model `name`; without status, in its stream."""
    if _is_loading(status, error):
        return Unavailable(
            "model.loading",
            f"The model {name} is still being loaded.",
            "Try again in a minute.",
            headers={"Retry-After": f"{LOADING_S:g}"},
        )
    if status in BUSY:
        wait_s = retry_after_s(headers or {})
        return Unavailable(
            "model.busy",
            f"The model {name} has too much to do.",
            "Try again later.",
            headers={} if wait_s is None else {"Retry-After": f"{wait_s:g}"},
        )
    if {error.type, error.code} & _CONTEXT_CODES or _CONTEXT_WORDS.search(error.message):
        tokens = f" ({error.n_prompt_tokens} tokens of {error.n_ctx})" if error.n_ctx else ""
        return Upstream(
            "model.context_full",
            f"This is more than the model {name} can read at a time{tokens}.",
            "Begin a new conversation, say less at a time, or give the model a longer context.",
        )
    if error.code == "tool_use_failed" or _UNREADABLE.search(error.message):
        return Upstream(
            "model.garbled",
            f"The model {name} wrote something that its server cannot read.",
            "Say it in other words.",
        )
    how = "an error" if status is None else f"status {status}"
    words = mask_text(str(one_line(error.message)))[:MAX_MESSAGE_CHARS].rstrip(".")
    return Upstream(
        "model.refused",
        f"The server of the model {name} answered with {how}{f': {words}' if words else ''}.",
        "Its log says more; check model and api_key_file in the settings.",
    )


def _is_loading(status: int | None, error: ServerError) -> bool:
    """Returns whether llama.cpp still loads its weights."""
    return status == 503 and error.message == "Loading model"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Returns Retry-After (RFC 9110 §10.2.3) in seconds, at most an hour; None without a valid one."""
    text = headers.get("retry-after", headers.get("Retry-After", "")).strip()
    if text.isascii() and text.isdigit() and len(text) < 9:
        return min(float(text), MAX_BUSY_S)
    try:
        then = parsedate_to_datetime(text)
        wait_s = (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), MAX_BUSY_S)


@dataclass
class OpenAiServer:
    """One model on one server. Holds no connection between answers.

    `base_url` up to and including `/v1`; `silence_s` is the longest wait for the next bytes. None of
    `listeners` is called.
    """

    name: str
    base_url: str
    model: str
    _: KW_ONLY
    api_key: Callable[[], str | None] = lambda: None
    silence_s: float = 60.0
    listeners: OwnListeners = NO_LISTENERS
    preset: Preset = field(default_factory=Preset)
    _limit_name: str = field(default="max_tokens", init=False)
    _refused_fields: set[str] = field(default_factory=set, init=False)

    async def ask(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        *,
        max_tokens: int,
        schema: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[Piece, None]:
        """Streams one answer; see ChatModel."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **self.preset.fields(tools=bool(tools)),
        }
        if tools:
            body["tools"] = list(tools)
        if schema is not None:
            form = {"name": "answer", "schema": schema}
            body[_SCHEMA_FIELD] = {"type": "json_schema", "json_schema": form}
        key = await asyncio.to_thread(self.api_key)
        headers = {"Accept": "text/event-stream", "traceparent": traceparent()}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        # An error body is longer than its message, and every token has a wire form of its own.
        bounds = Bounds(self.silence_s, answer_bytes=2 * ANSWER_BYTES, connect_s=CONNECT_S)
        try:
            async with (
                outgoing_client(Destinations(self.listeners, named_by_operator=True), bounds) as client,
                aclosing(self._answers(client, body, headers, max_tokens)) as pieces,
            ):
                async for piece in pieces:
                    yield piece
        except httpx.TimeoutException as error:
            raise Upstream(
                "model.slow",
                f"The model {self.name} did not answer in time.",
                "Try again, or raise timeout_s of the model in the settings.",
                status=504,
            ) from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.DecodingError):
                raise self._cut_off() from error
            raise Unavailable(
                "model.unreachable",
                f"The model {self.name} cannot be reached.",
                "Check that its server runs, and base_url in the settings.",
            ) from error

    async def _answers(
        self, client: httpx.AsyncClient, body: Mapping[str, Any], headers: Mapping[str, str], max_tokens: int
    ) -> AsyncGenerator[Piece, None]:
        """Asks, and again when the server wants the token limit under its other name, or a field of the
        preset not at all.
        """
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        while True:
            fields = {name: value for name, value in body.items() if name not in self._refused_fields}
            request = {**fields, self._limit_name: max_tokens}
            async with client.stream("POST", url, json=request, headers=dict(headers)) as answer:
                if answer.status_code != 200:
                    error = parse_error(await _beginning(answer))
                    if self._limit_name != _LIMIT_NAME and wants_other_limit(answer.status_code, error):
                        self._limit_name = _LIMIT_NAME
                        continue
                    if (name := field_to_drop(answer.status_code, error, request)) is not None:
                        self._refused_fields.add(name)
                        continue
                    raise refusal(self.name, answer.status_code, error, answer.headers)
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
                        yield _usage(chunk.usage, chunk.timings)
                    for choice in chunk.choices[:1]:
                        finish = choice.finish_reason or finish
                        for delta in choice.delta.tool_calls or ():
                            calls.add(delta)
                        text = text_filter.next(choice.delta.content or "")
                        thought = choice.delta.reasoning_content or choice.delta.reasoning or ""
                        if thought := thought + text_filter.take_reasoning():
                            yield Thought(thought)
                        if text:
                            yield TextPiece(text)
        except TooMuch as error:
            raise Upstream(
                "model.too_long",
                f"The answer of the model {self.name} is longer than can be used.",
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
            raise refusal(self.name, None, parse_error(chunk.error))
        return chunk

    def _nonsense(self) -> Upstream:
        return Upstream(
            "model.nonsense",
            f"The server of the model {self.name} answered in a form that is not chat completions.",
            "Check base_url in the settings: it ends with /v1.",
        )

    def _cut_off(self) -> Upstream:
        return Upstream("model.cut_off", f"The answer of the model {self.name} broke off.", "Ask again.")


def _usage(count: TokenCount, timings: Timings | None) -> Usage:
    """Returns the tokens of an answer; a server counts the cached ones in one of three places, or nowhere."""
    details = count.prompt_tokens_details
    cached = (
        (details.cached_tokens if details is not None else 0)
        or count.prompt_cache_hit_tokens
        or (timings.cache_n if timings is not None else 0)
    )
    return Usage(count.total_tokens or 0, count.prompt_tokens or 0, cached or 0)


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
                    preset=preset_for(one.model, one.model_dump(include=set(SETTABLE))),
                ),
            )
