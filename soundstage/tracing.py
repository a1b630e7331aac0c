"""Trace ids (W3C Trace Context): one id from the spoken sentence to the MP4, in a context variable."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
_current: ContextVar[str | None] = ContextVar("soundstage_trace_id", default=None)


def trace_id() -> str | None:
    """The trace id of what runs now (32 hex digits), or None outside any trace."""
    return _current.get()


def new_trace_id() -> str:
    """32 random hex digits, never all zero."""
    return f"{secrets.randbits(128) or 1:032x}"


@contextmanager
def trace(requested: str | None = None, *, inherit: bool = True) -> Iterator[str]:
    """Everything inside runs under `given`, else (with `inherit`) the current trace, else a new one."""
    chosen = requested or (trace_id() if inherit else None) or new_trace_id()
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)


def parse_traceparent(header: str | None) -> str | None:
    """The trace id of a `traceparent` header; None when missing or malformed: then a new trace starts."""
    match = _TRACEPARENT.fullmatch(header.strip()) if header else None
    return match.group(1) if match else None


def traceparent() -> str:
    """Returns the `traceparent` header for an outgoing call."""
    return f"00-{trace_id() or new_trace_id()}-{secrets.randbits(64) or 1:016x}-01"
