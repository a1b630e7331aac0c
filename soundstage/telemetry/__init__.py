"""Logs, trace ids and metrics, for every room."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from soundstage.telemetry.masking import mask_text

if TYPE_CHECKING:
    from soundstage.telemetry.exposition import Metrics, metrics_router
    from soundstage.telemetry.logs import configure_logging, configure_service_logging, get_logger
    from soundstage.telemetry.middleware import QUIET, SHARED_PREFIX, install_telemetry
    from soundstage.tracing import new_trace_id, trace, trace_id

__all__ = [
    "QUIET",
    "SHARED_PREFIX",
    "Metrics",
    "configure_logging",
    "configure_service_logging",
    "get_logger",
    "install_telemetry",
    "mask_text",
    "metrics_router",
    "new_trace_id",
    "trace",
    "trace_id",
]

_MODULES = {
    "QUIET": "middleware",
    "SHARED_PREFIX": "middleware",
    "configure_logging": "logs",
    "configure_service_logging": "logs",
    "get_logger": "logs",
    "Metrics": "exposition",
    "metrics_router": "exposition",
    "install_telemetry": "middleware",
}
_TRACING = frozenset({"new_trace_id", "trace", "trace_id"})


def __getattr__(name: str) -> Any:
    """The page of metrics and the middleware bring the web framework, spans OpenTelemetry's API. A command
    that prints its help does without: they are loaded at their first use.
    """
    if name in _TRACING:
        return getattr(import_module("soundstage.tracing"), name)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"soundstage.telemetry.{_MODULES[name]}"), name)
