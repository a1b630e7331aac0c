"""From rows to wire types of renders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avatar.spec import Failed, Notice

from studio.renders.listing import picture_url
from studio.renders.making import spec_of
from studio.renders.models import Render, RenderOutput, RenderSegment, Segment
from studio.renders.schemas import (
    FailedScene,
    Offer,
    OutputView,
    Progress,
    RenderDetail,
    RenderView,
    SegmentView,
)
from studio.renders.states import RenderState


def view_of(row: Render, outputs: Sequence[RenderOutput]) -> RenderView:
    return RenderView.model_validate(_fields(row, outputs))


def detail_of(
    row: Render,
    outputs: Sequence[RenderOutput],
    segments: Sequence[tuple[RenderSegment, Segment | None]],
    failed_scene: FailedScene | None = None,
) -> RenderDetail:
    return RenderDetail.model_validate(
        {
            **_fields(row, outputs),
            "spec": spec_of(row),
            "segments": [
                SegmentView(
                    scene_id=link.scene_id,
                    key=link.segment_key,
                    state=RenderState(segment.state) if segment else RenderState.QUEUED,
                    reused=link.reused,
                    attempts=segment.attempts if segment else 0,
                    error=Failed.model_validate(segment.error) if segment and segment.error else None,
                )
                for link, segment in segments
            ],
            "failed_scene": failed_scene,
            "offers": _offers(row, failed_scene),
            "picture": picture_url(row, outputs),
        }
    )


def _offers(row: Render, failed_scene: FailedScene | None) -> list[Offer]:
    if row.state != RenderState.FAILED:
        return []
    edit: list[Offer] = ["edit_scene"] if failed_scene is not None and failed_scene.editable else []
    log: list[Offer] = ["read_log"] if row.worker_log else []
    return [*edit, "retry", *log]


def _fields(row: Render, outputs: Sequence[RenderOutput]) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "title": row.title,
        "personas": row.personas,
        "project_id": row.project_id,
        "project_version": row.project_version,
        "spec_hash": row.spec_hash,
        "priority": row.priority,
        "requested_by": row.requested_by,
        "trace_id": row.trace_id,
        "attempt": row.attempt,
        "cancel_requested": row.cancel_requested,
        "ready_by": row.ready_by,
        "forecast": row.forecast,
        "progress": Progress.model_validate(row.progress or {}),
        "waits": row.waits,
        "error": Failed.model_validate(row.error) if row.error else None,
        "warnings": [Notice.model_validate(warning) for warning in row.warnings],
        "lost_face_frames": row.lost_face_frames,
        "duration_ms": row.duration_ms,
        "outputs": [
            OutputView(
                role=output.role,
                name=output.name,
                url=f"/api/renders/{row.id}/files/{output.role}",
                sha256=output.sha256,
                bytes=output.bytes,
                media_type=output.media_type,
            )
            for output in outputs
        ],
        "out_files": row.out_files,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }
