"""Exports spans with the OpenTelemetry SDK, an extra: `export` imports this module, when it is asked to."""

from __future__ import annotations

import os
from collections.abc import Callable

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from soundstage.errors import Invalid
from soundstage.tracing.current import SCOPE, new_root_id
from soundstage.tracing.records import SpanRecord, plain_attributes

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class TraceIds(RandomIdGenerator):
    """Gives the first span of a trace the trace id of its request."""

    def generate_trace_id(self) -> int:
        return new_root_id()


class FinishedSpans(SpanProcessor):
    """Hands finished spans to `emit`."""

    def __init__(self, emit: Callable[[SpanRecord], None]) -> None:
        self._emit = emit

    def on_end(self, span: ReadableSpan) -> None:
        self._emit(record_of(span))


class SdkExport:
    """A tracer provider that exports by `exporter`."""

    def __init__(self, service: str, exporter: SpanExporter, emit: Callable[[SpanRecord], None]) -> None:
        # OTEL_SERVICE_NAME would lose against a name that is passed.
        named = "OTEL_SERVICE_NAME" in os.environ
        self._resource = Resource.create({} if named else {SERVICE_NAME: service})
        self._batches = BatchSpanProcessor(exporter)
        self.provider = TracerProvider(
            resource=self._resource, id_generator=TraceIds(), shutdown_on_exit=False
        )
        self.provider.add_span_processor(self._batches)
        self.provider.add_span_processor(FinishedSpans(emit))

    def add_finished(self, record: SpanRecord) -> None:
        """Exports a span that another process has measured."""
        self._batches.on_end(_readable(record, self._resource))

    def close(self) -> None:
        """Exports what is left."""
        self.provider.shutdown()


def open_export(service: str, emit: Callable[[SpanRecord], None]) -> SdkExport:
    """Raises Invalid `traces.exporter_unknown`; ModuleNotFoundError without the exporter's package.

    The provider does not become OpenTelemetry's global one: FastAPI and other libraries would put their spans
    between ours, which our files do not have.
    """
    return SdkExport(service, _exporter(), emit)


def _exporter() -> SpanExporter:
    name = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
    )
    if name == "console":
        return ConsoleSpanExporter()
    if name == "otlp" and protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    raise Invalid(
        "traces.exporter_unknown",
        f"Spans cannot be exported by {name} over {protocol}.",
        "Set OTEL_TRACES_EXPORTER to otlp, console or none, OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf.",
    )


def record_of(span: ReadableSpan) -> SpanRecord:
    """Returns our form of a span of the SDK."""
    context, parent = span.get_span_context() or INVALID_SPAN_CONTEXT, span.parent
    return SpanRecord(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=None if parent is None else f"{parent.span_id:016x}",
        name=span.name,
        kind=span.kind.name.lower(),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        is_error=span.status.status_code is StatusCode.ERROR,
        attributes=plain_attributes(span.attributes),
    )


def _readable(record: SpanRecord, resource: Resource) -> ReadableSpan:
    trace = int(record.trace_id, 16)
    context = SpanContext(trace, int(record.span_id, 16), is_remote=False, trace_flags=_SAMPLED)
    parent = (
        None
        if record.parent_id is None
        else SpanContext(trace, int(record.parent_id, 16), is_remote=True, trace_flags=_SAMPLED)
    )
    return ReadableSpan(
        name=record.name,
        context=context,
        parent=parent,
        resource=resource.merge(Resource({SERVICE_NAME: record.service})) if record.service else resource,
        attributes=record.attributes,
        kind=SpanKind[record.kind.upper()],
        status=Status(StatusCode.ERROR if record.is_error else StatusCode.UNSET),
        start_time=record.start_ns,
        end_time=record.end_ns,
        instrumentation_scope=InstrumentationScope(SCOPE),
    )
