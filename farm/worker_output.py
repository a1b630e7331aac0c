"""Bounded readers of a worker's output: lines that cannot grow without end, and the tail of its log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

CHUNK_BYTES = 64 * 1024
MAX_LINE_BYTES = 8 * 1024 * 1024


async def read_lines(stream: asyncio.StreamReader, limit: int = MAX_LINE_BYTES) -> AsyncIterator[bytes]:
    """Lines without their ends. A longer line than `limit` comes out cut, so that a mad worker cannot fill
    our memory.
    """
    line = bytearray()
    overflowed = False
    while chunk := await stream.read(CHUNK_BYTES):
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            if not overflowed:
                line += piece[: limit - len(line)]
            yield bytes(line)
            line.clear()
            overflowed = False
        if not overflowed:
            line += rest[: limit - len(line)]
            overflowed = len(line) >= limit
    if line:
        yield bytes(line)


class LogTail:
    """The last `limit` bytes of a log."""

    def __init__(self, limit: int = 64 * 1024) -> None:
        self._limit = limit
        self._bytes = bytearray()

    def add(self, chunk: bytes) -> None:
        self._bytes += chunk
        if len(self._bytes) > 2 * self._limit:
            del self._bytes[: -self._limit]

    def text(self) -> str:
        return bytes(self._bytes[-self._limit :]).decode("utf-8", errors="replace")


async def collect(stream: asyncio.StreamReader, tail: LogTail) -> None:
    """Reads to the end, so that the worker never blocks on a full pipe."""
    while chunk := await stream.read(CHUNK_BYTES):
        tail.add(chunk)
