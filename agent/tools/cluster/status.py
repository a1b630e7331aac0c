"""Tools that show the farm and the logs of its jobs."""

from __future__ import annotations

from contextlib import aclosing
from typing import Literal

from pydantic import Field

from agent.tools.cluster.nomad import job_named, node_named
from agent.tools.cluster.text import (
    allocation_lines,
    counts,
    job_state,
    node_lines,
    of_a_video,
    why_not_placed,
)
from agent.tools.record import ToolContext, ToolRequest, ToolResult, tool
from agent.tools.table import aligned, last_lines
from farm.nomad.client import Json
from farm.nomad.operating import OperatorClient
from farm.nomad.overview import NodeOverview, node_overview
from soundstage.errors import NotFound

_EXPLAINED = 20
_LOG_BYTES = 64 << 10
_MOST_BYTES = 1 << 20


class ClusterStatus(ToolRequest):
    node: str | None = Field(default=None, max_length=80, description="One node by name.")
    job: str | None = Field(default=None, max_length=200, description="One job by name, and why it waits.")


class JobLine(ToolResult):
    job: str
    kind: str
    running: int
    waiting: int
    state: str
    why: str = ""


class NodeLine(ToolResult):
    node: str
    state: str
    cards: tuple[str, ...]
    jobs: tuple[str, ...]


class Cluster(ToolResult):
    nodes: tuple[NodeLine, ...]
    jobs: tuple[JobLine, ...]
    lines: tuple[str, ...]

    def sentence(self) -> str:
        return "\n".join(self.lines)


@tool(effect="read", permission="cluster:read")
async def cluster_status(context: ToolContext, request: ClusterStatus) -> Cluster:
    """Show the nodes of the farm with their cards, the jobs on them, and why something waits."""
    async with context.services.cluster() as nomad:
        if request.job is not None:
            return await _one_job(nomad, request.job)
        nodes = await _nodes(nomad, request.node)
        if request.node is not None:
            return Cluster(nodes=_lines(nodes), jobs=(), lines=tuple(node_lines(nodes)))
        jobs = await nomad.all_jobs()
        own = [job for job in jobs if not of_a_video(job) and not (job.get("Stop") or job.get("ParentID"))]
        told = [await _job(nomad, job, explain=at < _EXPLAINED) for at, job in enumerate(own)]
        steps = [counts(job) for job in jobs if of_a_video(job) and not job.get("Stop")]
    idle = [node for node in nodes if node.state != "ready"]
    head = f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}" + (
        f", {len(idle)} of them without new work" if idle else ""
    )
    lines = [f"{head}:" if nodes else "The farm has no nodes.", *node_lines(nodes)]
    if told:
        lines.append(f"{len(told)} job{'' if len(told) == 1 else 's'}:")
        lines += aligned([job.job, job.kind, job.state, job.why] for job in told)
    running, waiting = sum(one[0] for one in steps), sum(one[1] + one[2] for one in steps)
    videos = f"{running} steps of videos run, {waiting} wait." if running or waiting else ""
    lines += [videos or ("No video is being made." if told else "Nothing runs on it.")]
    return Cluster(nodes=_lines(nodes), jobs=tuple(told), lines=tuple(lines))


class JobLogs(ToolRequest):
    job: str = Field(min_length=1, max_length=200, description="The job by name.")
    lines: int = Field(default=40, ge=1, le=1000, description="How many lines, the last ones.")
    stream: Literal["stderr", "stdout"] | None = Field(
        default=None, description="What is wrong (stderr) or what is said (stdout); left out: both."
    )


class JobLog(ToolResult):
    job: str
    node: str
    task: str
    text: str

    def sentence(self) -> str:
        where = f"{self.job} on {self.node}" if self.node else self.job
        if not self.text:
            return f"{where} has written nothing yet."
        return f"The end of the log of {where} (task {self.task}):\n{self.text}"


@tool(effect="read", permission="job:read", reveals=True)
async def job_logs(context: ToolContext, request: JobLogs) -> JobLog:
    """Show the last lines that a job on the farm has written."""
    async with context.services.cluster() as nomad:
        job = str((await job_named(nomad, request.job))["ID"])
        allocations = [one for one in await nomad.allocations(job) if one.get("TaskStates")]
        if not allocations:
            raise NotFound(
                "cluster.no_log", f"{job} has not started anywhere yet.", f"“Why is the job {job} waiting?”"
            )
        # What runs now tells more than what has ended since.
        running = [one for one in allocations if one.get("ClientStatus") == "running"]
        chosen = (running or allocations)[-1]
        task = next(iter(chosen["TaskStates"]))
        texts = [
            await _log(nomad, str(chosen["ID"]), task, kind)
            for kind in ("stdout", "stderr")
            if request.stream in (None, kind)
        ]
    text = last_lines("\n".join(text.rstrip("\n") for text in texts if text), request.lines)
    return JobLog(job=job, node=str(chosen.get("NodeName") or ""), task=task, text=text)


async def _log(nomad: OperatorClient, allocation: str, task: str, kind: str) -> str:
    read = b""
    async with aclosing(nomad.logs(allocation, task, kind, tail=_LOG_BYTES)) as chunks:
        async for chunk in chunks:
            read += chunk
            if len(read) > _MOST_BYTES:
                # It writes faster than it is read: there is no end to come to.
                break
    return read.decode("utf-8", errors="replace")


async def _one_job(nomad: OperatorClient, given: str) -> Cluster:
    job = await job_named(nomad, given)
    told = await _job(nomad, job, explain=True)
    places = await nomad.allocations(told.job)
    why = [f"It waits: {told.why}."] if told.why else []
    lines = [f"{told.job} ({told.kind}): {told.state}.", *why, *allocation_lines(places)]
    return Cluster(nodes=(), jobs=(told,), lines=tuple(lines))


async def _job(nomad: OperatorClient, job: Json, *, explain: bool) -> JobLine:
    running, queued, starting = counts(job)
    waits = (queued or job.get("Status") == "pending") and not job.get("Stop")
    why = why_not_placed(await nomad.why_not_placed(str(job["ID"]))) if waits and explain else ""
    return JobLine(
        job=str(job["ID"]),
        kind=str(job.get("Type") or ""),
        running=running,
        waiting=queued + starting,
        state=job_state(job),
        why=why,
    )


async def _nodes(nomad: OperatorClient, only: str | None) -> list[NodeOverview]:
    """By name; one that is down only where none of that name is up: it was set up anew."""
    nodes, _ = await nomad.nodes()
    if only is not None:
        wanted = (await node_named(nomad, only))["ID"]
        nodes = [one for one in nodes if one["ID"] == wanted]
    allocations, _ = await nomad.all_allocations()
    found = [node_overview(node, allocations) for node in nodes]
    up = {node.name for node in found if node.state != "down"}
    return sorted(
        (node for node in found if node.state != "down" or node.name not in up), key=lambda node: node.name
    )


def _lines(nodes: list[NodeOverview]) -> tuple[NodeLine, ...]:
    return tuple(
        NodeLine(
            node=node.name, state=node.state, cards=tuple(card.model for card in node.cards), jobs=node.jobs
        )
        for node in nodes
    )
