"""The current span and its trace id (W3C Trace Context), in OpenTelemetry's context: a context variable."""

from __future__ import annotations

import re
import secrets
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, cast

from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags, Tracer

from soundstage.tracing.records import SpanRecord, Value

SCOPE = "soundstage"
"""Name of our tracer (instrumentation scope)."""
TRACEPARENT = "TRACEPARENT"
"""Environment variable with the parent of a process's spans."""
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)

TENANT = "soundstage.tenant"
"""Attribute of a span whose tenant is not the current one when it ends: a request's."""

_TENANT_KEY = otel_context.create_key(TENANT)

Kind = SpanKind
Attributes = Mapping[str, Value]
FinishedSpans = Callable[[SpanRecord], None]


class TraceRoot(NonRecordingSpan):
    """Carries the trace id until the first span starts, which has no parent."""


class _Process:
    """The tracer of this process, as OpenTelemetry has one provider for each. Set by `set_tracer`."""

    tracer: Tracer | None = None
    import_finished: FinishedSpans | None = None


_root_id: ContextVar[int | None] = ContextVar("soundstage_root_trace_id", default=None)


def set_tracer(tracer: Tracer | None, import_finished: FinishedSpans | None = None) -> None:
    """Sets what records spans from now on; None records none. `import_finished` takes spans of workers."""
    _Process.tracer, _Process.import_finished = tracer, import_finished


def trace_id() -> str | None:
    """The trace id of what runs now (32 hex digits), or None outside any trace."""
    context = otel.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def span_id() -> str | None:
    """The id of the span that runs now (16 hex digits), for a row that later work continues from; None where
    no span is recorded.
    """
    current = otel.get_current_span()
    return f"{current.get_span_context().span_id:016x}" if current.is_recording() else None


def set_span_tenant(tenant: str) -> None:
    """Sets who may see the current span; without it, the tenant that is current when it ends."""
    otel.get_current_span().set_attribute(TENANT, tenant)


def trace_tenant() -> str | None:
    """Returns the tenant that `trace` has set."""
    return cast(str | None, otel_context.get_value(_TENANT_KEY))


def new_trace_id() -> str:
    """32 random hex digits, never all zero."""
    return f"{secrets.randbits(128) or 1:032x}"


def new_root_id() -> int:
    """Returns the trace id for a span without a parent: the one that `trace` has set, or a new one."""
    return _root_id.get() or secrets.randbits(128) or 1


@contextmanager
def trace(
    requested: str | None = None,
    *,
    parent: str | None = None,
    tenant: str | None = None,
    inherit: bool = True,
) -> Iterator[str]:
    """Everything inside runs under `requested`, else (with `inherit`) the current trace, else a new one.

    Spans inside continue from the span `parent` of that trace, where it is named. With `tenant`, that tenant
    may see them, although the tenant filter is bypassed.
    """
    current = trace_id() if inherit else None
    if current is not None and (requested in (None, current)) and parent is tenant is None:
        yield current
        return
    chosen = requested or current or new_trace_id()
    carrier = NonRecordingSpan(_context(chosen, parent)) if parent else TraceRoot(_context(chosen))
    with _current(carrier, tenant):
        yield chosen


@contextmanager
def continue_trace(header: str | None) -> Iterator[str]:
    """Everything inside continues the trace of a `traceparent`; a new trace where it is malformed."""
    remote = _parse(header)
    carrier = TraceRoot(_context(new_trace_id())) if remote is None else NonRecordingSpan(remote)
    with _current(carrier):
        yield f"{carrier.get_span_context().trace_id:032x}"


def leave_trace() -> None:
    """Leaves the current trace for the rest of this context: background work starts traces of its own."""
    otel_context.attach(Context())


def traceparent() -> str:
    """Returns the `traceparent` for an outgoing call or another process."""
    context = otel.get_current_span().get_span_context()
    if not context.is_valid:
        context = _context(new_trace_id())
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def start_span(
    name: str, attributes: Attributes | None = None, kind: Kind = Kind.INTERNAL, start_ns: int | None = None
) -> Span:
    """Starts a child of the current span, which does not become current; finish it with `end_span`."""
    parent, tracer = otel.get_current_span(), _Process.tracer
    if tracer is None:
        return parent
    if not isinstance(parent, TraceRoot):
        return tracer.start_span(name, kind=kind, attributes=attributes, start_time=start_ns)
    token = _root_id.set(parent.get_span_context().trace_id)
    try:
        return tracer.start_span(name, Context(), kind, attributes, start_time=start_ns)
    finally:
        _root_id.reset(token)


def end_span(started: Span, error: BaseException | None = None) -> None:
    """Ends a span of `start_span`. Of an error it has the code, never the message: that may quote content."""
    if not started.is_recording():
        return
    if isinstance(error, CancelledError):
        started.set_attribute("error.type", "cancelled")
    elif getattr(error, "status", 500) < 400:
        # Raised as an answer, such as that people have to agree first.
        pass
    elif isinstance(error, Exception):
        started.set_attribute("error.type", str(getattr(error, "code", "") or type(error).__name__))
        started.set_status(StatusCode.ERROR)
    started.end()


class span:  # noqa: N801 - a context manager, as `suppress`
    """Records the block as a child of the current span: `with span("assemble", {"render.id": id}) as s:`.

    Attributes are ids, names and counts, never content. Outside of any trace it starts one.
    """

    __slots__ = ("_arguments", "_span", "_token")

    def __init__(self, name: str, attributes: Attributes | None = None, kind: Kind = Kind.INTERNAL) -> None:
        self._arguments = (name, attributes, kind)
        self._token: Any = None

    def __enter__(self) -> Span:
        self._span = start_span(*self._arguments)
        if self._span.is_recording():
            self._token = otel_context.attach(otel.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            otel_context.detach(self._token)
            self._token = None
            end_span(self._span, error)


def record_finished(found: SpanRecord) -> None:
    """Records a span that another process has measured."""
    if _Process.import_finished is not None:
        _Process.import_finished(found)


def record_since(
    name: str, start_ns: int, attributes: Attributes | None = None, kind: Kind = Kind.INTERNAL
) -> None:
    """Records a span that began at `start_ns` (nanoseconds since 1970) and ends now."""
    started = start_span(name, attributes, kind, start_ns)
    if started is not otel.get_current_span():
        started.end()


def now_ns() -> int:
    return time.time_ns()


@contextmanager
def _current(carrier: Span, tenant: str | None = None) -> Iterator[None]:
    context = otel.set_span_in_context(carrier)
    if tenant is not None:
        context = otel_context.set_value(_TENANT_KEY, tenant, context)
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)


def _context(trace: str, span: str | None = None) -> SpanContext:
    number = secrets.randbits(64) or 1 if span is None else int(span, 16)
    return SpanContext(int(trace, 16), number, is_remote=span is not None, trace_flags=_SAMPLED)


def _parse(header: str | None) -> SpanContext | None:
    match = _TRACEPARENT.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    flags = TraceFlags(int(match[3], 16) & TraceFlags.SAMPLED)
    return SpanContext(int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=flags)
