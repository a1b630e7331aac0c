"""Reads Server-Sent Events (WHATWG HTML §9.2) from bytes, within a limit; used by OpenAiServer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator


class TooMuch(Exception):
    """More bytes came than the limit allows."""


async def sse_data(chunks: AsyncIterator[bytes], *, limit: int) -> AsyncGenerator[str, None]:
    """The `data` of each event. Other fields and comments are dropped, so is an event that the end cuts off.

    `limit` counts all bytes of the stream: a server that never ends must not fill our memory.
    """
    pending, total, data = b"", 0, list[str]()
    async for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise TooMuch
        *lines, pending = (pending + chunk).replace(b"\r\n", b"\n").split(b"\n")
        for raw in lines:
            line = raw.decode("utf-8", "replace").removesuffix("\r")
            if line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
            elif not line and data:
                yield "\n".join(data)
                data = []
