"""Converts rows of renders to wire types."""

from __future__ import annotations

from collections.abc import Sequence

from avatar.spec import Failed

from soundstage.views import read_view
from studio.renders.listing import picture_url
from studio.renders.making import spec_of
from studio.renders.models import Render, RenderOutput, RenderSegment, Segment
from studio.renders.schemas import (
    FailedScene,
    Offer,
    OutputView,
    RenderDetail,
    RenderView,
    SegmentView,
)
from studio.renders.states import RenderState


def view_of(row: Render, outputs: Sequence[RenderOutput]) -> RenderView:
    return read_view(RenderView, row, outputs=_views_of(outputs))


def detail_of(
    row: Render,
    outputs: Sequence[RenderOutput],
    segments: Sequence[tuple[RenderSegment, Segment | None]],
    failed_scene: FailedScene | None = None,
) -> RenderDetail:
    return read_view(
        RenderDetail,
        row,
        outputs=_views_of(outputs),
        spec=spec_of(row),
        segments=[
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
        failed_scene=failed_scene,
        offers=_offers(row, failed_scene),
        picture=picture_url(row, outputs),
    )


def explain_queued(ahead: int, *, is_driven: bool) -> str:
    """Explains why one waits that no process has taken yet. `is_driven`: some process takes renders."""
    if not is_driven:
        return "waits: no dispatcher is running; start `soundstage up`"
    return f"waits: {ahead} ahead of it" if ahead else "waits: next in line"


def explain_active(row: Render) -> str:
    """Explains where one is that a process has taken, and whether it will be ready in time."""
    view = view_of(row, ())
    sentence = row.waits or view.sentence
    return sentence if view.ended or view.forecast is None else f"{sentence}; {view.forecast.sentence}"


def _views_of(outputs: Sequence[RenderOutput]) -> list[OutputView]:
    return [OutputView.model_validate(output) for output in outputs]


def _offers(row: Render, failed_scene: FailedScene | None) -> list[Offer]:
    if row.state != RenderState.FAILED:
        return []
    edit: list[Offer] = ["edit_scene"] if failed_scene is not None and failed_scene.editable else []
    log: list[Offer] = ["read_log"] if row.worker_log else []
    return [*edit, "retry", *log]
