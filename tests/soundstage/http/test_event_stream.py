"""Events come out of the bytes as the server meant them, however the bytes are cut."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from soundstage.http.event_stream import StreamEvent, TooMuch, stream_events

WIRE = (
    b': ping\n\nevent: text\nid: 7\ndata: {"a": "x\xe2\x80\xa8y\xc2\x85z"}\n\n'
    b"data:first\r\ndata: second\r\n\r\nevent: empty\n\ndata: cut off"
)
EVENTS = [StreamEvent('{"a": "x\u2028y\u0085z"}', "text", "7"), StreamEvent("first\nsecond")]


async def cut(wire: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(wire), size):
        yield wire[start : start + size]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_events_are_read_whole_with_separators_of_unicode_inside(size: int) -> None:
    assert [event async for event in stream_events(cut(WIRE, size))] == EVENTS


async def test_more_bytes_than_the_limit_end_the_stream() -> None:
    with pytest.raises(TooMuch):
        _ = [event async for event in stream_events(cut(WIRE, 8), limit=40)]
    assert [event async for event in stream_events(cut(WIRE, 8), limit=len(WIRE))] == EVENTS
