"""Nodes, leases and jobs of the farm for the page, read from Nomad; jobs are stopped and scaled by the
agent's tool, under the same policy and approvals.

Machines are drained by `app/server/farm_routes.py`.
"""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, status
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field
from sse_starlette import EventSourceResponse, ServerSentEvent

from agent.approvals.errors import ApprovalRequired
from agent.tools.cluster.nomad import job_named
from agent.tools.cluster.text import why_not_placed
from agent.tools.plan import Change
from agent.tools.record import ToolContext
from agent.tools.services import ToolServices
from agent.tools.toolset import Toolset, prepare_call
from agent.tools.wrappers import PlannedResult
from farm.nomad.client import Json
from farm.nomad.cluster_view import TRACE, JobDetail, JobView, NodeView, job_detail, job_view, node_views
from farm.nomad.event_stream import TOPICS
from farm.nomad.operating import OperatorClient
from policy import Principal, require_permission
from soundstage.errors import Conflict
from soundstage.events.sse import STREAM_HEADERS
from soundstage.routers import AppService
from soundstage.telemetry import mask_text

EXPLAINED = 20
"""Of so many jobs at most it is asked why they wait: each is a question of its own."""
MAX_JOBS = 500
MAX_ALLOCATIONS = 50
TAIL_KIB = 64
MAX_TAIL_BYTES = 1 << 20
MAX_FOLLOWED_BYTES = 8 << 20
"""A log that is followed ends there: whoever wants more opens it again."""
HEARTBEAT_S = 15

ReadCluster = Annotated[Principal, Depends(require_permission("cluster:read"))]
ReadJobs = Annotated[Principal, Depends(require_permission("job:read"))]
ScaleJobs = Annotated[Principal, Depends(require_permission("job:scale"))]
StopJobs = Annotated[Principal, Depends(require_permission("job:stop"))]

# Jobs that Nomad dispatches have slashes in their ids.
JobId = Annotated[str, Path(min_length=1, max_length=250)]
AllocationId = Annotated[str, Path(pattern=r"^[0-9a-f]{8}-[0-9a-f-]{27}$")]
TaskName = Annotated[str, Query(min_length=1, max_length=128)]
LogStream = Annotated[Literal["stdout", "stderr"], Query(description="what it says, or what is wrong")]

LogSize = Annotated[int, Query(ge=1, le=512, description="how much of its end, in KiB")]


class LogTail(BaseModel):
    """The end of what a task wrote, without keys; `whole`: from its beginning."""

    text: str
    whole: bool


class JobChange(BaseModel, extra="forbid"):
    """`plan`: the `sha256` of the plan that was shown; None does whatever the plan is now."""

    job: str = Field(min_length=1, max_length=200)
    group: str | None = Field(default=None, max_length=100, description="to scale one of several groups")
    count: int | None = Field(default=None, ge=0, le=1000, description="to scale: how many")
    plan: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class JobChangeRequest(JobChange):
    action: Literal["scale", "stop"]


class JobPlan(BaseModel):
    """`approvers`: how many people have to agree before it is done."""

    changes: list[Change]
    approvers: int
    sha256: str


class JobChangeOutcome(BaseModel):
    """`waits`: nothing has happened yet, since people have to agree to `approval`."""

    state: Literal["done", "waits"]
    sentence: str
    approval: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterCalls:
    """Reads the farm for a person, and changes jobs through the toolset."""

    services: ToolServices
    toolset: Toolset

    async def nodes(self) -> list[NodeView]:
        async with self.services.cluster() as nomad:
            nodes, _ = await nomad.nodes()
            allocations, _ = await nomad.all_allocations()
            jobs = {str(job["ID"]): job for job in await nomad.all_jobs()}
        holders = [jobs[one] for one in {str(one["JobID"]) for one in allocations} if one in jobs]
        return node_views(nodes, allocations, jobs, await self._films(holders))

    async def jobs(self, *, steps: bool) -> list[JobView]:
        async with self.services.cluster() as nomad:
            all_jobs = [job for job in await nomad.all_jobs() if steps or not job_view(job, {}).step]
            jobs = sorted(all_jobs, key=lambda job: int(job.get("SubmitTime") or 0), reverse=True)[:MAX_JOBS]
            waiting = [job for job in jobs if _waits(job)][:EXPLAINED]
            reasons = {str(job["ID"]): await _why(nomad, job) for job in waiting}
        films = await self._films(jobs)
        return [job_view(job, films, reasons.get(str(job["ID"]), "")) for job in jobs]

    async def job(self, name: str) -> JobDetail:
        """Raises NotFound (`cluster.no_job`)."""
        async with self.services.cluster() as nomad:
            short = await job_named(nomad, name)
            job_id = str(short["ID"])
            whole = await nomad.job(job_id) or {}
            allocations = await nomad.allocations(job_id)
            why = await _why(nomad, short) if _waits(short) else ""
        view = job_view(short, await self._films([short]), why)
        return job_detail(view, short, whole, allocations, MAX_ALLOCATIONS)

    async def tail(self, allocation: str, task: str, stream: str, limit: int) -> LogTail:
        async with self.services.cluster() as nomad:
            read = await _read(nomad.logs(allocation, task, stream, tail=limit), MAX_TAIL_BYTES)
        # One that is cut off at its beginning begins in the middle of a line.
        whole = len(read) < limit
        shown = read if whole else read.partition(b"\n")[2]
        return LogTail(text=mask_text(shown.decode("utf-8", errors="replace")), whole=whole)

    async def follow(
        self, allocation: str, task: str, stream: str, *, limit: int, whole: bool
    ) -> AsyncIterator[bytes]:
        """Yields the last `limit` bytes of what a task has written and what it still writes, by whole lines,
        until it has ended. `whole`: there is no more than that.
        """
        async with (
            self.services.cluster() as nomad,
            aclosing(nomad.logs(allocation, task, stream, follow=True, tail=limit)) as chunks,
        ):
            sent, rest, is_cut = 0, b"", not whole
            async for chunk in chunks:
                sent += len(chunk)
                lines, newline, rest = (rest + chunk).rpartition(b"\n")
                if newline:
                    # What begins in the middle of a line may begin in the middle of a key.
                    shown = (lines + newline).partition(b"\n")[2] if is_cut else lines + newline
                    is_cut = False
                    yield mask_text(shown.decode("utf-8", errors="replace")).encode()
                if sent > MAX_FOLLOWED_BYTES:
                    return
            if rest and not is_cut:
                yield mask_text(rest.decode("utf-8", errors="replace")).encode()

    async def index(self) -> int:
        """Returns from where events are to be followed; raises what keeps the farm from being read."""
        async with self.services.cluster() as nomad:
            _, index = await nomad.nodes()
        return index

    async def changes(self, after: int) -> AsyncIterator[ServerSentEvent]:
        """Yields the kinds of things that have changed, and no more: who wants to know reads them again."""
        async with (
            self.services.cluster() as nomad,
            aclosing(_batches(nomad, after)) as batches,
        ):
            async for topics in batches:
                yield ServerSentEvent(data=json.dumps({"changed": sorted(topics)}), event="cluster.changed")

    async def plan(self, person: Principal, request: JobChangeRequest) -> JobPlan:
        """Raises what the change would; the policy is asked for the permission of the change."""
        result = await self._run(person, request.action, request, dry_run=True)
        return JobPlan(
            changes=list(result.plan.changes), approvers=result.approvers, sha256=result.plan.sha256
        )

    async def change(
        self, person: Principal, action: Literal["scale", "stop"], request: JobChange
    ) -> JobChangeOutcome:
        """Raises Conflict (`cluster.plan_changed`) when the plan is not the one that was shown any more."""
        if request.plan is not None:
            planned = await self._run(person, action, request, dry_run=True)
            if planned.plan.sha256 != request.plan:
                raise Conflict(
                    "cluster.plan_changed",
                    f"What would be done with {request.job} has changed since it was shown.",
                    "Read the plan again, and then agree to that.",
                )
        try:
            done = await self._run(person, action, request)
        except ApprovalRequired as waits:
            return JobChangeOutcome(state="waits", sentence=waits.message, approval=waits.approval_id)
        return JobChangeOutcome(state="done", sentence=done.sentence())

    async def _run(self, person: Principal, action: str, request: JobChange, *, dry_run: bool = False) -> Any:
        arguments = request.model_dump(include={"job", "group", "count"}, exclude_none=True)
        call = prepare_call(self.toolset, "change_job", {"action": action, **arguments})
        context = ToolContext(principal=person, session_id="", services=self.services, dry_run=dry_run)
        result = await self.toolset.run(context, call)
        if dry_run and not isinstance(result, PlannedResult):
            raise TypeError("a dry run of change_job has no plan")
        return result

    async def _films(self, jobs: Iterable[Json]) -> Mapping[str, tuple[str, str]]:
        """Id and title of the videos behind steps, by trace; those of the reader's tenant alone."""
        traces = {str((job.get("Meta") or {}).get(TRACE) or "") for job in jobs} - {""}
        return await self.services.studio.renders.find_by_traces(traces)


def _waits(job: Json) -> bool:
    return not job.get("Stop") and (job.get("Status") == "pending" or job_view(job, {}).waiting > 0)


async def _why(nomad: OperatorClient, job: Json) -> str:
    return why_not_placed(await nomad.why_not_placed(str(job["ID"])))


async def _read(chunks: AsyncGenerator[bytes, None], limit: int) -> bytes:
    read = b""
    async with aclosing(chunks):
        async for chunk in chunks:
            read += chunk
            if len(read) > limit:
                # It writes faster than it is read: there is no end to come to.
                break
    return read


async def _batches(nomad: OperatorClient, after: int) -> AsyncGenerator[set[str], None]:
    async for batch in nomad.events(TOPICS, after):
        if topics := {str(event.get("Topic")) for event in batch.events}:
            yield topics


ClusterDep = Annotated[ClusterCalls, Depends(AppService("cluster"))]
router = APIRouter(prefix="/api/farm", tags=["farm"])


@router.get("/nodes")
async def list_nodes(cluster: ClusterDep, _: ReadCluster) -> list[NodeView]:
    """Nodes with their cards, and the leases on them with who holds each."""
    return await cluster.nodes()


@router.get("/cluster/events", response_class=EventSourceResponse)
async def follow_cluster(cluster: ClusterDep, _: ReadCluster) -> Response:
    """Server-sent events `cluster.changed`, from now on: which kinds of things have changed (`Node`,
    `Allocation`, `Job`), not how.
    """
    changes = cluster.changes(await cluster.index())
    return EventSourceResponse(changes, ping=HEARTBEAT_S, headers=STREAM_HEADERS)


@router.get("/jobs")
async def list_jobs(
    cluster: ClusterDep,
    _: ReadCluster,
    steps: Annotated[bool, Query(description="with the steps of videos, each of which is a job")] = False,
) -> list[JobView]:
    """Jobs, the newest first, and why what waits of them has no node."""
    return await cluster.jobs(steps=steps)


@router.post("/jobs/plan")
async def plan_job_change(cluster: ClusterDep, person: ReadCluster, request: JobChangeRequest) -> JobPlan:
    """Returns what stopping or scaling would change, and how many people have to agree; needs the permission
    of the change, and changes nothing.
    """
    return await cluster.plan(person, request)


@router.post("/jobs/stop", status_code=status.HTTP_202_ACCEPTED)
async def stop_job(cluster: ClusterDep, person: StopJobs, request: JobChange) -> JobChangeOutcome:
    """Stops a job, after the people have agreed whom the policy names."""
    return await cluster.change(person, "stop", request)


@router.post("/jobs/scale", status_code=status.HTTP_202_ACCEPTED)
async def scale_job(cluster: ClusterDep, person: ScaleJobs, request: JobChange) -> JobChangeOutcome:
    """Changes how many of a job run, after the people have agreed whom the policy names."""
    return await cluster.change(person, "scale", request)


@router.get("/jobs/{job:path}")
async def get_job(job: JobId, cluster: ClusterDep, _: ReadCluster) -> JobDetail:
    """One job with its groups, and its newest allocations."""
    return await cluster.job(job)


@router.get("/allocations/{allocation_id}/log")
async def read_task_log(
    allocation_id: AllocationId,
    cluster: ClusterDep,
    _: ReadJobs,
    task: TaskName,
    stream: LogStream = "stderr",
    kib: LogSize = TAIL_KIB,
) -> LogTail:
    """Returns the end of what a task has written."""
    return await cluster.tail(allocation_id, task, stream, kib << 10)


@router.get("/allocations/{allocation_id}/log/follow", response_class=StreamingResponse)
async def follow_task_log(
    allocation_id: AllocationId,
    cluster: ClusterDep,
    _: ReadJobs,
    task: TaskName,
    stream: LogStream = "stderr",
    kib: LogSize = TAIL_KIB,
) -> StreamingResponse:
    """Sends the end of what a task has written, and what it writes from now on, as plain text until it ends;
    8 MiB at most.
    """
    # What there is no log of is refused while the answer has not begun.
    found = await cluster.tail(allocation_id, task, stream, kib << 10)
    return StreamingResponse(
        cluster.follow(allocation_id, task, stream, limit=kib << 10, whole=found.whole),
        media_type="text/plain; charset=utf-8",
        headers=STREAM_HEADERS,
    )
