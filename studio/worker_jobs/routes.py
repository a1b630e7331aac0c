"""REST of the worker endpoint: `/api/worker` takes the place of the base URL of an older GPU worker."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, status
from pydantic import BaseModel, Field

from studio.guards import CancelRenders, CreateRenders, ReadRenders
from studio.renders.schemas import RenderView
from studio.renders.states import RenderState
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/worker", tags=["worker"])


QueueState = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED"]

STATES: dict[RenderState, QueueState] = {
    RenderState.QUEUED: "IN_QUEUE",
    RenderState.DISPATCHED: "IN_QUEUE",
    RenderState.RUNNING: "IN_PROGRESS",
    RenderState.DONE: "COMPLETED",
    RenderState.FAILED: "FAILED",
    RenderState.CANCELLED: "CANCELLED",
}
OUTPUTS = {"poster": "thumbnail"}
"""Roles of files that those clients know by another name."""


class JobOrder(BaseModel, extra="ignore"):
    """A job as the queue sends it; unknown fields beside `input` are no error."""

    input: dict[str, Any] = Field(description="`job_type` and what that needs: docs/guide/nomad.md")


class JobOutput(BaseModel):
    """`output`: addresses of the files; `duration_ms`: of the video."""

    success: bool = True
    output: dict[str, str]
    duration_ms: int | None


class JobAnswer(BaseModel):
    """`id` is that of the render, under which `/api/renders` knows the job too."""

    id: str
    status: QueueState
    progress: float
    output: JobOutput | None = None
    error: str | None = None
    code: str | None = Field(default=None, description="of the error")

    @classmethod
    def of(cls, view: RenderView) -> JobAnswer:
        """Return how far a render is, as a job."""
        files = {OUTPUTS.get(one.role, one.role): one.url for one in view.outputs}
        done = view.state is RenderState.DONE
        return cls(
            id=view.id,
            status=STATES[view.state],
            progress=round(view.progress.fraction, 3),
            output=JobOutput(output=files, duration_ms=view.duration_ms) if done else None,
            error=f"{view.error.message} {view.error.hint}".strip() if view.error else None,
            code=view.error.code if view.error else None,
        )


@router.post("/run", status_code=status.HTTP_202_ACCEPTED)
async def run_job(order: JobOrder, studio: StudioDep, principal: CreateRenders) -> JobAnswer:
    """Fetches the files of a job (`lipsync_only`, `full_render`) and queues its video. `image` is refused
    with `job.image_missing`. Files need `asset:create`, a consent in the job `consent:create`.
    """
    return JobAnswer.of(await studio.worker_jobs.run(order.input, principal))


@router.get("/status/{render_id}")
async def job_status(render_id: str, studio: StudioDep, _: ReadRenders) -> JobAnswer:
    """`IN_QUEUE`, `IN_PROGRESS`, `COMPLETED` (with the addresses of its files), `FAILED` or `CANCELLED`."""
    return JobAnswer.of(await studio.renders.get(render_id))


@router.post("/cancel/{render_id}", status_code=status.HTTP_202_ACCEPTED)
async def cancel_job(render_id: str, studio: StudioDep, _: CancelRenders) -> JobAnswer:
    """Ends it."""
    return JobAnswer.of(await studio.renders.cancel(render_id))
