"""Tools that show the farm and the logs of its jobs."""

from __future__ import annotations

from contextlib import aclosing
from typing import Literal

from pydantic import BaseModel, Field

from agent.presentation import Blocks, Preformatted, StateLabel, Table, page, table
from agent.presentation.text import count, join_names, last_lines
from agent.tools.cluster.nomad import job_named, node_named
from agent.tools.cluster.text import (
    allocation_age,
    card_text,
    counts,
    job_state,
    last_event,
    of_a_video,
    why_not_placed,
)
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from farm.nomad.client import Json
from farm.nomad.operating import OperatorClient
from farm.nomad.overview import NodeOverview, node_overview
from soundstage.errors import NotFound

_EXPLAINED = 20
_MAX_ALLOCATIONS = 10
_NODE_STATES = {"draining": "being emptied", "ineligible": "takes no work"}
_LOG_BYTES = 64 << 10
_MAX_BYTES = 1 << 20


class ClusterStatus(ToolRequest):
    node: str | None = Field(default=None, max_length=80, description="One node by name.")
    job: str | None = Field(default=None, max_length=200, description="One job by name, and why it waits.")


class JobLine(BaseModel, frozen=True):
    job: str
    kind: str
    running: int
    waiting: int
    state: str
    why: str = ""


class NodeLine(BaseModel, frozen=True):
    """`card_states` says of each of `cards` its memory and whether it is free."""

    node: str
    state: str
    cards: tuple[str, ...]
    card_states: tuple[str, ...]
    jobs: tuple[str, ...]


class AllocationLine(BaseModel, frozen=True):
    """A part of a job on one node, with the last thing that happened to it."""

    node: str
    state: str
    age: str
    event: str


class Cluster(ToolResult):
    """`about`: the whole farm, one node, or one job with its newest allocations."""

    about: Literal["farm", "node", "job"]
    nodes: tuple[NodeLine, ...] = ()
    jobs: tuple[JobLine, ...] = ()
    allocations: tuple[AllocationLine, ...] = ()
    steps_running: int = 0
    steps_waiting: int = 0

    def presentation(self) -> Blocks:
        match self.about:
            case "node":
                return page(self._nodes())
            case "job":
                return self._job(self.jobs[0])
            case "farm":
                return self._farm()

    def _farm(self) -> Blocks:
        idle = [node for node in self.nodes if node.state != "ready"]
        head = count(len(self.nodes), "node") + (f", {len(idle)} of them without new work" if idle else "")
        jobs = ((job.job, job.kind, job.state, job.why) for job in self.jobs)
        nothing = "No video is being made." if self.jobs else "Nothing runs on it."
        steps = f"{self.steps_running} steps of videos run, {self.steps_waiting} wait."
        return page(
            f"{head}:" if self.nodes else "The farm has no nodes.",
            self._nodes(),
            f"{count(len(self.jobs), 'job')}:" if self.jobs else "",
            table("Jobs", ("Job", "Kind", "State", "Why"), jobs),
            steps if self.steps_running or self.steps_waiting else nothing,
        )

    def _nodes(self) -> Table:
        rows = (
            (
                node.node,
                StateLabel(state=node.state, text=_NODE_STATES.get(node.state, "")),
                ", ".join(node.card_states),
                join_names(node.jobs, 4) if node.jobs else StateLabel(state="idle"),
            )
            for node in self.nodes
        )
        return table("Nodes", ("Node", "State", "Cards", "Jobs"), rows)

    def _job(self, job: JobLine) -> Blocks:
        rows = ((one.node, StateLabel(state=one.state), one.age, one.event) for one in self.allocations)
        return page(
            f"{job.job} ({job.kind}): {job.state}.",
            f"It waits: {job.why}." if job.why else "",
            table("Allocations", ("Node", "State", "Age", "Last event"), rows),
        )


@tool(Act("read", "cluster:read"))
async def cluster_status(context: ToolContext, request: ClusterStatus) -> Cluster:
    """Show the nodes of the farm with their cards, the jobs on them, and why something waits."""
    async with context.services.cluster() as nomad:
        if request.job is not None:
            return await _one_job(nomad, request.job)
        nodes = await _nodes(nomad, request.node)
        if request.node is not None:
            return Cluster(about="node", nodes=_lines(nodes))
        jobs = await nomad.all_jobs()
        own = [job for job in jobs if not of_a_video(job) and not (job.get("Stop") or job.get("ParentID"))]
        lines = [await _job(nomad, job, explain=at < _EXPLAINED) for at, job in enumerate(own)]
        steps = [counts(job) for job in jobs if of_a_video(job) and not job.get("Stop")]
    return Cluster(
        about="farm",
        nodes=_lines(nodes),
        jobs=tuple(lines),
        steps_running=sum(running for running, _, _ in steps),
        steps_waiting=sum(queued + starting for _, queued, starting in steps),
    )


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

    def presentation(self) -> Blocks:
        where = f"{self.job} on {self.node}" if self.node else self.job
        if not self.text:
            return page(f"{where} has written nothing yet.")
        return page(f"The end of the log of {where} (task {self.task}):", Preformatted(text=self.text))


@tool(Act("read", "job:read"), reveals=True)
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
            if len(read) > _MAX_BYTES:
                # It writes faster than it is read: there is no end to come to.
                break
    return read.decode("utf-8", errors="replace")


async def _one_job(nomad: OperatorClient, name: str) -> Cluster:
    line = await _job(nomad, await job_named(nomad, name), explain=True)
    allocations = await nomad.allocations(line.job)
    newest = sorted(allocations, key=lambda one: int(one["CreateIndex"]), reverse=True)[:_MAX_ALLOCATIONS]
    return Cluster(
        about="job",
        jobs=(line,),
        allocations=tuple(
            AllocationLine(
                node=str(one.get("NodeName") or ""),
                state=str(one.get("ClientStatus")),
                age=allocation_age(one),
                event=last_event(one),
            )
            for one in newest
        ),
    )


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
        node_id = (await node_named(nomad, only))["ID"]
        nodes = [one for one in nodes if one["ID"] == node_id]
    allocations, _ = await nomad.all_allocations()
    found = [node_overview(node, allocations) for node in nodes]
    up = {node.name for node in found if node.state != "down"}
    return sorted(
        (node for node in found if node.state != "down" or node.name not in up), key=lambda node: node.name
    )


def _lines(nodes: list[NodeOverview]) -> tuple[NodeLine, ...]:
    return tuple(
        NodeLine(
            node=node.name,
            state=node.state,
            cards=tuple(card.model for card in node.cards),
            card_states=tuple(map(card_text, node.cards)),
            jobs=node.jobs,
        )
        for node in nodes
    )
