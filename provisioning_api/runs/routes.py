"""REST of runs and failures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, status
from fastapi.responses import Response
from sse_starlette import EventSourceResponse

from policy import Principal, require_permission
from provisioning_api.reach import ProvisioningDep
from provisioning_api.runs.journal import ALL_RUNS, is_end, stream_of
from provisioning_api.runs.playbooks import PlaybookView
from provisioning_api.runs.schemas import FailureView, RunRequest, RunView
from provisioning_api.runs.states import RunState
from provisioning_api.runs.tasks import TaskView, tasks_of
from soundstage.events import sse_response
from soundstage.paging import PAGED, PagingDep

router = APIRouter(tags=["runs"])

ReadRuns = Annotated[Principal, Depends(require_permission("run:read"))]
CreateRuns = Annotated[Principal, Depends(require_permission("run:create"))]
CancelRuns = Annotated[Principal, Depends(require_permission("run:cancel"))]


@router.get("/api/runs", responses=PAGED)
async def list_runs(
    services: ProvisioningDep,
    _: ReadRuns,
    paging: PagingDep,
    state: Annotated[list[RunState] | None, Query(max_length=20)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[RunView]:
    """Newest first. `Link` leads to the next page, `X-Total-Count` counts all that match."""
    return paging.answer(await services.runs.find_page(state or (), paging.ask(limit)))


@router.post("/api/runs", status_code=status.HTTP_202_ACCEPTED)
async def create_run(request: RunRequest, services: ProvisioningDep, principal: CreateRuns) -> RunView:
    """Queues a run and answers at once; follow its events."""
    return await services.runs.create(request, by=principal.name)


@router.get("/api/runs/events", response_class=EventSourceResponse)
async def follow_runs(request: Request, services: ProvisioningDep, _: ReadRuns) -> Response:
    """Server-sent events of all runs, from now on or after Last-Event-ID."""
    newest = await services.events.last_id()
    return sse_response(request, services.events, after=newest, event_filter=ALL_RUNS)


@router.get("/api/runs/{run_id}")
async def get_run(run_id: str, services: ProvisioningDep, _: ReadRuns) -> RunView:
    return await services.runs.get(run_id)


@router.post("/api/runs/{run_id}/cancel", status_code=status.HTTP_202_ACCEPTED)
async def cancel_run(run_id: str, services: ProvisioningDep, principal: CancelRuns) -> RunView:
    """Ends its processes, all of them."""
    return await services.runs.cancel(run_id, by=principal.name)


@router.post("/api/runs/{run_id}/retry", status_code=status.HTTP_202_ACCEPTED)
async def retry_run(run_id: str, services: ProvisioningDep, principal: CreateRuns) -> RunView:
    """A new run on the machines that did not come through."""
    return await services.runs.retry(run_id, by=principal.name)


@router.get("/api/runs/{run_id}/events", response_class=EventSourceResponse)
async def follow_run(run_id: str, request: Request, services: ProvisioningDep, _: ReadRuns) -> Response:
    """Server-sent events from the first (or after Last-Event-ID) until the run has ended."""
    await services.runs.get(run_id)
    return sse_response(request, services.events, stream_of(run_id), until=is_end)


@router.get("/api/runs/{run_id}/tasks")
async def list_tasks(run_id: str, services: ProvisioningDep, _: ReadRuns) -> list[TaskView]:
    """Lists the tasks of a run so far, oldest first."""
    await services.runs.get(run_id)
    return await tasks_of(services.events, run_id)


@router.get("/api/playbooks")
async def list_playbooks(services: ProvisioningDep, _: ReadRuns) -> list[PlaybookView]:
    """Lists the playbooks that a run may name, with the roles that can run alone."""
    return list(await services.runs.playbooks())


@router.get("/api/failures")
async def list_failures(
    services: ProvisioningDep,
    _: ReadRuns,
    solved: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[FailureView]:
    """Lists failures with machine, cause and hint; newest first."""
    return list(await services.runs.failures(solved=solved, limit=limit))
