"""A server on loopback that writes raw bytes: answers that no well-behaved server gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """`heads` are the requests that arrived, up to the empty line."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def raw_server(answer: Answer, host: str = "127.0.0.1", tls: Any = None) -> AsyncIterator[RawServer]:
    made = RawServer()
    tasks: set[asyncio.Task[Any]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            made.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await answer(writer)
            writer.close()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(talk, host, 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()


def fixed(text: str, body: bytes = b"") -> Answer:
    """An answer with this status line and these headers, lines divided by `|`."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        head = "\r\n".join((*text.split("|"), f"content-length: {len(body)}", "connection: close"))
        writer.write(head.encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return answer
