"""How both server processes end: when their supervisor is gone, and with some seconds for open requests."""

from __future__ import annotations

import asyncio
import sys

import uvicorn

GRACE_S = 10


async def stop_with_supervisor(*servers: uvicorn.Server) -> None:
    """The supervisor holds the other end of our standard input; its end means that it is gone."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    for server in servers:
        server.should_exit = True
