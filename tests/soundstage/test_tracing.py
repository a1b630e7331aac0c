from __future__ import annotations

import asyncio

import pytest

from soundstage.tracing import continue_trace, new_trace_id, trace, trace_id, traceparent

ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"00-{ID}-00f067aa0ba902b7-01", ID),
        (f" 00-{ID}-00f067aa0ba902b7-00 ", ID),
        (f"cc-{ID}-00f067aa0ba902b7-01-what-the-future-brings", ID),
        (f"ff-{ID}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{ID}-{'0' * 16}-01", None),
        (f"00-{ID.upper()}-00f067aa0ba902b7-01", None),
        (f"00-{ID}-00f067aa0ba902b7", None),
        (f"00-{ID}-00f067aa0ba902b7-01x", None),
        ("", None),
        (None, None),
        ("garbage\n", None),
    ],
)
def test_a_traceparent_is_read_as_the_recommendation_says(header: str | None, expected: str | None) -> None:
    with continue_trace(header) as current:
        # A malformed header starts a new trace.
        assert trace_id() == current
        assert current == expected if expected else current != ID


def test_what_we_send_can_be_read_back() -> None:
    with trace() as current:
        sent = traceparent()
    with continue_trace(sent) as received:
        assert received == current


def test_a_trace_lasts_as_long_as_its_block() -> None:
    assert trace_id() is None
    with trace() as outer:
        assert trace_id() == outer
        with trace() as inner:
            assert inner == outer
        with trace(ID):
            assert trace_id() == ID
        with trace(inherit=False) as own:
            assert own != outer
        assert trace_id() == outer
    assert trace_id() is None


async def test_a_task_keeps_the_trace_it_was_started_in() -> None:
    async def current() -> str | None:
        await asyncio.sleep(0)
        return trace_id()

    with trace() as started_in:
        task = asyncio.create_task(current())
    assert await task == started_in


def test_trace_ids_are_32_hex_digits_and_distinct() -> None:
    created = {new_trace_id() for _ in range(100)}
    assert len(created) == 100
    assert all(len(found) == 32 and int(found, 16) for found in created)
