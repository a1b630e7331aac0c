"""Sets up what records spans: our files, and OTLP where the OpenTelemetry SDK is there and asked for.

Only the standard variables configure the export (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_EXPORTER,
OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED). The SDK is imported
when they ask for it, never else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from soundstage.telemetry.logs import get_logger
from soundstage.tracing.current import SCOPE, set_tracer
from soundstage.tracing.recorder import Recorder
from soundstage.tracing.records import SpanRecord

if TYPE_CHECKING:
    from soundstage.tracing.sdk import SdkExport
    from soundstage.tracing.store import SpanStore

Sink = Callable[[SpanRecord], None]

log = get_logger(__name__)


class _Sinks:
    """The stores and the export of this process; two applications may run in it."""

    stores: tuple[Sink, ...] = ()
    export: SdkExport | None = None


def export_requested(environment: Mapping[str, str] = os.environ) -> bool:
    """Returns whether the standard variables ask for an export of spans."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return exporter != "none" and bool(exporter or any(environment.get(name) for name in endpoints))


@contextmanager
def recording(store: SpanStore) -> Iterator[None]:
    """Records the spans of this process in `store` for the block; exports them where that is asked for."""
    store.open()
    if _Sinks.export is None and not _Sinks.stores:
        _Sinks.export = _open_export(store.service)
    _Sinks.stores = (*_Sinks.stores, store.put)
    _update()
    try:
        yield
    finally:
        _Sinks.stores = tuple(sink for sink in _Sinks.stores if sink != store.put)
        if not _Sinks.stores and _Sinks.export is not None:
            _Sinks.export.close()
            _Sinks.export = None
        _update()
        store.close()


def _update() -> None:
    if not _Sinks.stores:
        set_tracer(None)
    elif _Sinks.export is not None:
        set_tracer(_Sinks.export.provider.get_tracer(SCOPE), _import)
    else:
        set_tracer(Recorder(_emit), _import)


def _emit(record: SpanRecord) -> None:
    for sink in _Sinks.stores:
        sink(record)


def _import(record: SpanRecord) -> None:
    if _Sinks.export is not None:
        _Sinks.export.add_finished(record)
    _emit(record)


def _open_export(service: str) -> SdkExport | None:
    if not export_requested():
        return None
    try:
        from soundstage.tracing.sdk import open_export
    except ModuleNotFoundError as error:
        log.warning(
            "traces.no_sdk",
            message=f"Spans are not exported: the package {error.name} is not installed.",
            hint="Install the extra: uv sync --extra tracing.",
        )
        return None
    return open_export(service, _emit)
