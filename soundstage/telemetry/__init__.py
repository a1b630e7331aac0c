"""Logs, trace ids and metrics, for every room."""

from soundstage.telemetry.logs import configure_logging, get_logger
from soundstage.telemetry.masking import mask_text
from soundstage.telemetry.metrics import Metrics, metrics_router
from soundstage.telemetry.middleware import TelemetryMiddleware, install_telemetry
from soundstage.tracing import new_trace_id, parse_traceparent, trace, trace_id, traceparent

__all__ = [
    "Metrics",
    "TelemetryMiddleware",
    "configure_logging",
    "get_logger",
    "install_telemetry",
    "mask_text",
    "metrics_router",
    "new_trace_id",
    "parse_traceparent",
    "trace",
    "trace_id",
    "traceparent",
]
