"""Wire types of the worker endpoint; states and names are those that clients of GPU queues read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from studio.renders.schemas import RenderView
from studio.renders.states import RenderState

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


class JobOrder(BaseModel):
    """A job as the queue sends it; unknown fields beside `input` are no error."""

    model_config = ConfigDict(extra="ignore")

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
