"""Records spans without the OpenTelemetry SDK: a tracer of its API that hands finished spans on."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
)

from soundstage.tracing.current import new_root_id
from soundstage.tracing.records import SpanRecord, plain_attributes

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class RecordedSpan(Span):
    """A span with name, times, status and attributes; events and links are dropped."""

    def __init__(
        self,
        emit: Callable[[SpanRecord], None],
        name: str,
        context: SpanContext,
        parent_id: int | None,
        kind: SpanKind,
        attributes: Mapping[str, Any] | None,
        start_ns: int | None,
    ) -> None:
        self._emit = emit
        self._name = name
        self._context = context
        self._parent_id = parent_id
        self._kind = kind
        self._attributes: dict[str, Any] = dict(attributes or {})
        self._start_ns = start_ns or time.time_ns()
        self._end_ns: int | None = None
        self._is_error = False

    def end(self, end_time: int | None = None) -> None:
        """Hands the span on, the first time."""
        if self._end_ns is not None:
            return
        self._end_ns = end_time or time.time_ns()
        self._emit(
            SpanRecord(
                trace_id=f"{self._context.trace_id:032x}",
                span_id=f"{self._context.span_id:016x}",
                parent_id=None if self._parent_id is None else f"{self._parent_id:016x}",
                name=self._name,
                kind=self._kind.name.lower(),
                start_ns=self._start_ns,
                end_ns=self._end_ns,
                is_error=self._is_error,
                attributes=plain_attributes(self._attributes),
            )
        )

    def get_span_context(self) -> SpanContext:
        return self._context

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self._attributes.update(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self._attributes[key] = value

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        """Drops the event: it may quote content."""

    def update_name(self, name: str) -> None:
        self._name = name

    def is_recording(self) -> bool:
        return self._end_ns is None

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Takes the code alone."""
        code = status.status_code if isinstance(status, Status) else status
        self._is_error = code is StatusCode.ERROR

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Takes the type of the error: its message may quote content."""
        self._attributes["error.type"] = type(exception).__name__


class Recorder(Tracer):
    """Hands each finished span to `emit`. A trace that its caller does not sample is not recorded."""

    def __init__(self, emit: Callable[[SpanRecord], None]) -> None:
        self._emit = emit

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        parent = otel.get_current_span(context).get_span_context()
        number = secrets.randbits(64) or 1
        if not parent.is_valid:
            own = SpanContext(new_root_id(), number, is_remote=False, trace_flags=_SAMPLED)
            return RecordedSpan(self._emit, name, own, None, kind, attributes, start_time)
        if not parent.trace_flags.sampled:
            return NonRecordingSpan(parent)
        own = SpanContext(parent.trace_id, number, is_remote=False, trace_flags=_SAMPLED)
        return RecordedSpan(self._emit, name, own, parent.span_id, kind, attributes, start_time)

    @contextmanager
    def start_as_current_span(self, name: str, *arguments: Any, **more: Any) -> Iterator[Span]:  # type: ignore[override]
        """Starts a span and makes it the current one for the block."""
        more.pop("end_on_exit", None)
        started = self.start_span(name, *arguments, **more)
        token = otel_context.attach(otel.set_span_in_context(started))
        try:
            yield started
        finally:
            otel_context.detach(token)
            started.end()
