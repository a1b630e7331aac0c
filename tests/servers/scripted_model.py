"""A server that speaks OpenAI's chat completions on loopback by a script, also wrongly.

    async with scripted_model(Say("Hello"), Call("list_renders"), Status(429, {"Retry-After": "1"})) as model:
        ... model.base_url; model.asked[0]["messages"]

Each request takes the next line of the script, and the last line again when there is no other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

END = "data: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Say:
    """Streams a text, word by word. `cut`: breaks off after so many words; `pause_s`: before each word."""

    text: str
    cut: int | None = None
    pause_s: float = 0.0
    tokens: int = 0
    hold: asyncio.Event | None = field(default=None, compare=False)
    """Waited for after the first word."""


@dataclass(frozen=True)
class Call:
    """Asks for a tool; `arguments` as an object, or as text that need not be JSON."""

    tool: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str = ""
    also: tuple[Call, ...] = ()
    say: str = ""
    think: str = ""
    """Its `reasoning_content` before the call."""
    usage: Mapping[str, Any] | None = None
    hold: asyncio.Event | None = field(default=None, compare=False)
    """Waited for before the call."""


@dataclass(frozen=True)
class Status:
    """An answer without a stream."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"error": {"message": "no"}}'


@dataclass(frozen=True)
class Raw:
    """Bytes as they are, under a content type."""

    body: bytes
    content_type: str = "text/event-stream"


@dataclass(frozen=True)
class Silence:
    """Never answers."""


@dataclass(frozen=True)
class Endless:
    """Words until the reader has had enough."""


def stream(*deltas: Mapping[str, Any], finish: str = "stop", between: str = "") -> Raw:
    """An answer of these deltas, as a server sends it; `between` stands in front of each event."""
    events = [*(_chunk(dict(delta)) for delta in deltas), _chunk({}, finish), END]
    return Raw("".join(between + event for event in events).encode())


Line = Say | Call | Status | Raw | Silence | Endless
Script = Line | Callable[[dict[str, Any]], Line]


class ScriptedModel:
    """What was asked so far, and where."""

    def __init__(self, script: tuple[Script, ...]) -> None:
        self.script = list(script)
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.base_url = ""
        self.cut_off = 0
        """Answers that the reader did not read to their end."""

    def told(self, number: int = -1) -> str:
        """What the tools told the model, in one request."""
        return "\n".join(one["content"] for one in self.asked[number]["messages"] if one["role"] == "tool")

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            if head[0].startswith("GET "):
                # As real servers answer /health.
                await self._answer(Status(200, body='{"status": "ok"}'), writer, 0)
                writer.close()
                return
            body = json.loads(await reader.readexactly(int(headers["content-length"])))
            self.headers.append(headers)
            self.asked.append(body)
            line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
            await self._answer(line(body) if callable(line) else line, writer, len(self.asked))
            writer.close()
        except ConnectionError:
            self.cut_off += 1
            writer.transport.abort()
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()

    async def _answer(self, line: Line, writer: asyncio.StreamWriter, number: int) -> None:
        match line:
            case Status():
                body = line.body.encode()
                headers = {
                    "Content-Type": "application/json",
                    "Content-Length": str(len(body)),
                    **line.headers,
                }
                await _head(writer, line.status, headers)
                writer.write(body)
                await writer.drain()
            case Raw():
                await _head(writer, 200, {"Content-Type": line.content_type, "Connection": "close"})
                writer.write(line.body)
                await writer.drain()
            case Silence():
                await asyncio.sleep(3600)
            case Endless():
                await _stream_head(writer)
                while True:
                    await _send(writer, _chunk({"content": "word " * 500}))
            case Say():
                await _stream_head(writer)
                await _send(writer, _chunk({"role": "assistant", "content": None}))
                for place, word in enumerate(_words(line.text)):
                    if line.cut is not None and place >= line.cut:
                        writer.transport.abort()
                        return
                    await asyncio.sleep(line.pause_s)
                    await _send(writer, _chunk({"content": word}))
                    if place == 0 and line.hold is not None:
                        await line.hold.wait()
                await _send(writer, _chunk({}, "stop"))
                if line.tokens:
                    usage = {"choices": [], "usage": {"total_tokens": line.tokens}}
                    await _send(writer, f"data: {json.dumps(usage)}\n\n")
                await _send(writer, END)
                writer.write(LAST_CHUNK)
            case Call():
                await _stream_head(writer)
                await _send(writer, _chunk({"role": "assistant", "content": None}))
                if line.think:
                    await _send(writer, _chunk({"reasoning_content": line.think}))
                if line.say:
                    await _send(writer, _chunk({"content": line.say}))
                if line.hold is not None:
                    await line.hold.wait()
                for index, call in enumerate((line, *line.also)):
                    await _send_call(writer, call, index, call.id or f"call_{number}_{index}")
                await _send(writer, _chunk({}, "tool_calls"))
                if line.usage is not None:
                    await _send(writer, f"data: {json.dumps({'choices': [], 'usage': line.usage})}\n\n")
                await _send(writer, END)
                writer.write(LAST_CHUNK)


async def _send_call(writer: asyncio.StreamWriter, call: Call, index: int, call_id: str) -> None:
    """The name first, then the arguments in pieces, as real servers do."""
    text = call.arguments if isinstance(call.arguments, str) else json.dumps(dict(call.arguments))
    first = {
        "index": index,
        "id": call_id,
        "type": "function",
        "function": {"name": call.tool, "arguments": ""},
    }
    await _send(writer, _chunk({"tool_calls": [first]}))
    for start in range(0, len(text), 7):
        piece = {"index": index, "function": {"arguments": text[start : start + 7]}}
        await _send(writer, _chunk({"tool_calls": [piece]}))


async def _send(writer: asyncio.StreamWriter, text: str) -> None:
    data = text.encode()
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()


async def _stream_head(writer: asyncio.StreamWriter) -> None:
    await _head(writer, 200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})


async def _head(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} Answer", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    await writer.drain()


def _chunk(delta: dict[str, Any], finish: str | None = None) -> str:
    data = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return f"data: {json.dumps(data)}\n\n"


def _words(text: str) -> list[str]:
    first, *others = text.split(" ")
    return [first, *(f" {word}" for word in others)]


@asynccontextmanager
async def scripted_model(
    *script: Script, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[ScriptedModel]:
    """A running server; connections still open at the end are broken off. `port` 0 is any that is free."""
    model = ScriptedModel(script)
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(model._talk(reader, writer))
        talks.add(task)
        await asyncio.wait([task])
        talks.discard(task)

    server = await asyncio.start_server(talk, host, port, limit=1 << 22)
    model.base_url = f"http://{host}:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield model
    finally:
        server.close()
        for task in tuple(talks):
            task.cancel()
        if talks:
            await asyncio.wait(talks, timeout=5)
