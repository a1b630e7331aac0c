"""`GET /api/traces/{id}/spans`: the recorded spans of one trace."""

# No `from __future__ import annotations`: FastAPI reads the annotations below.
import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, params
from pydantic import BaseModel, Field

from soundstage.database.tenants import require_tenant
from soundstage.errors import NotFound
from soundstage.tracing.records import SpanRecord, Value
from soundstage.tracing.store import SpanStore
from soundstage.views import read_view


class SpanView(BaseModel):
    """One operation. Times are milliseconds since the trace began."""

    span_id: str
    parent_id: str | None = Field(description="None for the first one, and where the parent is not recorded")
    name: str
    kind: str = Field(description="internal, server, client, producer or consumer")
    service: str = Field(description="the process: studio, provisioning, worker")
    start_ms: float
    duration_ms: float
    is_error: bool
    attributes: dict[str, Value]


class TraceView(BaseModel):
    """The spans of a trace, by their start."""

    trace_id: str
    started_at: datetime
    duration_ms: float
    spans: list[SpanView]


def traces_router(store: SpanStore, dependencies: Sequence[params.Depends]) -> APIRouter:
    """The kernel knows no permissions: the app hands in the dependency that declares one."""
    router = APIRouter(tags=["telemetry"])

    @router.get("/api/traces/{record_id}/spans", dependencies=list(dependencies))
    async def read_spans(record_id: Annotated[str, Path(max_length=80)]) -> TraceView:
        """Returns what a request did, and how long each part took: of a trace id, or of the newest trace of a
        render, session or run.
        """
        found = await asyncio.to_thread(store.find, record_id, require_tenant())
        if not found:
            raise NotFound(
                "trace.not_found",
                f"No spans are stored of {record_id}.",
                "They are stored for 7 days at most, without quick requests that only read.",
            )
        return view_of(found)

    return router


def view_of(records: Sequence[SpanRecord]) -> TraceView:
    """Returns at least one span as a trace."""
    ordered = sorted(records, key=lambda record: (record.start_ns, -record.end_ns))
    begin, end = ordered[0].start_ns, max(record.end_ns for record in ordered)
    ids = {record.span_id for record in ordered}
    return TraceView(
        trace_id=ordered[0].trace_id,
        started_at=datetime.fromtimestamp(begin / 1e9, UTC),
        duration_ms=_ms(end - begin),
        spans=[
            read_view(
                SpanView,
                record,
                parent_id=record.parent_id if record.parent_id in ids else None,
                start_ms=_ms(record.start_ns - begin),
                duration_ms=_ms(record.end_ns - record.start_ns),
            )
            for record in ordered
        ],
    )


def _ms(ns: int) -> float:
    return round(ns / 1e6, 3)
