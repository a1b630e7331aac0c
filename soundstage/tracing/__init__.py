"""Spans and trace ids on the OpenTelemetry API: one trace from the utterance to the MP4.

`span` records where a process has a tracer: our own (`recorder`) or that of the OpenTelemetry SDK (`sdk`), as
`export` chooses. Without one it does nothing, and `trace_id` is still that of the request.
"""

from soundstage.tracing.current import (
    TENANT,
    TRACEPARENT,
    Kind,
    continue_trace,
    leave_trace,
    new_trace_id,
    now_ns,
    record_finished,
    record_since,
    set_span_tenant,
    span,
    span_id,
    trace,
    trace_id,
    traceparent,
)

__all__ = [
    "TENANT",
    "TRACEPARENT",
    "Kind",
    "continue_trace",
    "leave_trace",
    "new_trace_id",
    "now_ns",
    "record_finished",
    "record_since",
    "set_span_tenant",
    "span",
    "span_id",
    "trace",
    "trace_id",
    "traceparent",
]
