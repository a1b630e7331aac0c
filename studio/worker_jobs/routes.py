"""REST of the worker endpoint: `/api/worker` takes the place of the base URL of an older GPU worker."""

from __future__ import annotations

from fastapi import APIRouter, status

from studio.guards import CancelRenders, CreateRenders, ReadRenders
from studio.wiring import StudioDep
from studio.worker_jobs.schemas import JobAnswer, JobOrder

router = APIRouter(prefix="/api/worker", tags=["worker"])


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
