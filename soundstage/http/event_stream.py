"""Reads Server-Sent Events (WHATWG HTML §9.2) from the bytes of an answer, of a model or of our own servers.

`Response.aiter_lines` would end lines at U+2028 and U+0085 too, which JSON may hold as they are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass


class TooMuch(Exception):
    """More bytes came than the limit allows."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event; `name` and `id` are empty where the server sends none."""

    data: str
    name: str = ""
    id: str = ""


async def stream_events(
    chunks: AsyncIterator[bytes], *, limit: int | None = None
) -> AsyncGenerator[StreamEvent, None]:
    """Yields each event that has data. Comments are dropped, so is an event that the end cuts off.

    `limit` counts all bytes of the stream: a server that never ends must not fill our memory.
    """
    pending, total = b"", 0
    data, fields = list[str](), dict[str, str]()
    async for chunk in chunks:
        total += len(chunk)
        if limit is not None and total > limit:
            raise TooMuch
        *lines, pending = (pending + chunk).replace(b"\r\n", b"\n").split(b"\n")
        for raw in lines:
            line = raw.decode("utf-8", "replace").removesuffix("\r")
            field, _, value = line.partition(":")
            if field == "data":
                data.append(value.removeprefix(" "))
            elif line:
                fields[field] = value.removeprefix(" ")
            else:
                if data:
                    yield StreamEvent("\n".join(data), fields.get("event", ""), fields.get("id", ""))
                data, fields = [], {}
