"""A small HTTP/1.1 server on loopback that can also misbehave: cut a connection anywhere, or never answer."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

REASONS = {308: "Resume Incomplete"}


@dataclass
class Request:
    """Header names are lower case. `body` reads at most as many bytes as asked for."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    reader: asyncio.StreamReader

    @property
    def length(self) -> int:
        return int(self.headers.get("content-length", "0"))

    async def body(self, limit: int | None = None) -> bytes:
        wanted = self.length if limit is None else min(limit, self.length)
        return await self.reader.readexactly(wanted)


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, data: Any, status: int = 200, **headers: str) -> Reply:
        return cls(status, json.dumps(data).encode(), {"content-type": "application/json", **headers})


CUT = None
"""What a handler gives to have the connection broken off without an answer."""

Handler = Callable[[Request], Awaitable[Reply | None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The server's URL; one request per connection."""
    tasks: set[asyncio.Task[Any]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
        try:
            reply = await handler(await _request(reader))
            if reply is CUT:
                writer.transport.abort()
                return
            lines = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Answer')}", "connection: close"]
            lines += [f"{name}: {value}" for name, value in reply.headers.items()]
            lines += [f"content-length: {len(reply.body)}"]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body)
            await writer.drain()
            writer.close()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            if task is not None:
                tasks.discard(task)

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=1 << 22)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        await server.wait_closed()


async def _request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *rest = head.split("\r\n")
    method, target, _ = first.split(" ")
    split = (line.partition(":") for line in rest if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in split}
    parts = urlsplit(target)
    return Request(method, parts.path, dict(parse_qsl(parts.query)), headers, reader)


@contextmanager
def serving_in_thread(handler: Handler) -> Iterator[str]:
    """Serves from a thread with an event loop of its own, for tests without one; yields the server's URL."""
    loop, ended, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with serving(handler) as url:
            urls.append(url)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        if not started.wait(10):
            raise TimeoutError("the server did not start")
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()
