"""Views of nodes, leases, jobs and allocations, as the page shows them; read from what Nomad lists.

A lease is what one allocation holds of one node. It is read from Nomad, and not from the lease table: that is
known in the process alone that dispatches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from farm.nomad.client import Json
from farm.nomad.inventory import lease_of, lives, node_of
from farm.nomad.overview import node_overview
from farm.placement.cards import SHARE_MIB
from soundstage.views import read_view

TICKET, TRACE = "ticket", "trace"
"""Names in the meta of a job that the farm created for one step of a video."""


class CardView(BaseModel):
    """`held_mib` is what leases hold of its memory; of a card without shares a lease holds all."""

    uuid: str
    model: str
    memory_mib: int
    shares: int = Field(description="0: it is given away as a whole")
    held_mib: int
    fault: str


class LeaseView(BaseModel):
    """`render` and `title` name the video that holds it, where it is one of the reader's tenant; `step`: it
    is a step of a video, whoever's.
    """

    allocation: str
    job: str
    step: bool
    render: str | None = None
    title: str = ""
    cards: list[str] = Field(description="uuids")
    shares: int
    cpu_mhz: int
    memory_mib: int
    since: datetime


class NodeView(BaseModel):
    """`state`: `ready`, `initializing`, `down`, `draining`, or `ineligible`: it takes no new work."""

    id: str
    name: str
    state: str
    eligible: bool
    pool: str
    cpu_mhz: int
    memory_mib: int
    cards: list[CardView]
    leases: list[LeaseView]


class JobView(BaseModel):
    """`state` is Nomad's, or `stopped`. `why`: why what waits of it has no node."""

    id: str
    kind: str
    state: str
    step: bool
    render: str | None = None
    title: str = ""
    running: int
    starting: int
    waiting: int
    priority: int
    submitted_at: datetime
    why: str = ""


class NomadTaskView(BaseModel):
    name: str
    driver: str


class GroupView(BaseModel):
    """`count`: how many of it are wanted."""

    name: str
    count: int
    running: int
    starting: int
    waiting: int
    tasks: list[NomadTaskView]


class TaskStateView(BaseModel):
    name: str
    state: str
    failed: bool
    restarts: int


class AllocationView(BaseModel):
    """A part of a job on one node; `event` is the last thing that happened to it, in Nomad's words."""

    id: str
    node: str
    group: str
    state: str
    since: datetime
    event: str
    tasks: list[TaskStateView]


class JobDetail(JobView):
    """The newest allocations come first."""

    groups: list[GroupView]
    allocations: list[AllocationView]


def node_views(
    nodes: Iterable[Json],
    allocations: Sequence[Json],
    jobs: Mapping[str, Json],
    films: Mapping[str, tuple[str, str]],
) -> list[NodeView]:
    """By name. `jobs` are short forms by id; `films` id and title of renders by their trace. A node that is
    down is left out where one of its name is up: it was set up anew.
    """
    found = [_node_view(node, allocations, jobs, films) for node in nodes]
    up = {node.name for node in found if node.state != "down"}
    return sorted(
        (node for node in found if node.state != "down" or node.name not in up), key=lambda node: node.name
    )


def _node_view(
    node: Json, allocations: Sequence[Json], jobs: Mapping[str, Json], films: Mapping[str, tuple[str, str]]
) -> NodeView:
    overview, sizes = node_overview(node, allocations), node_of(node)
    here = [one for one in allocations if one["NodeID"] == node["ID"] and lives(one)]
    leases = [_lease_view(one, jobs.get(str(one["JobID"]), {}), films) for one in here]
    return read_view(
        NodeView,
        overview,
        cpu_mhz=sizes.cpu_mhz,
        memory_mib=sizes.memory_mib,
        cards=[
            read_view(
                CardView,
                card,
                held_mib=min(card.memory_mib, card.taken * (SHARE_MIB if card.shares else card.memory_mib)),
            )
            for card in overview.cards
        ],
        leases=sorted(leases, key=lambda lease: lease.since),
    )


def _lease_view(allocation: Json, job: Json, films: Mapping[str, tuple[str, str]]) -> LeaseView:
    lease, meta = lease_of(allocation, str(allocation["ID"])), job.get("Meta") or {}
    render, title = films.get(str(meta.get(TRACE)), (None, ""))
    return LeaseView(
        allocation=lease.id,
        job=str(allocation["JobID"]),
        step=TICKET in meta,
        render=render,
        title=title,
        cards=list(lease.assignment.cards),
        shares=lease.assignment.shares,
        cpu_mhz=lease.cpu_mhz,
        memory_mib=lease.memory_mib,
        since=_moment(allocation.get("CreateTime")),
    )


def job_view(job: Json, films: Mapping[str, tuple[str, str]], why: str = "") -> JobView:
    """Of the short form of a job."""
    meta = job.get("Meta") or {}
    render, title = films.get(str(meta.get(TRACE)), (None, ""))
    counts = _counts(_summary(job).values())
    return JobView(
        id=str(job["ID"]),
        kind=str(job.get("Type") or ""),
        state="stopped" if job.get("Stop") else str(job.get("Status") or ""),
        step=TICKET in meta,
        render=render,
        title=title,
        **counts,
        priority=int(job.get("Priority") or 0),
        submitted_at=_moment(job.get("SubmitTime")),
        why=why,
    )


def job_detail(view: JobView, short: Json, whole: Json, allocations: Sequence[Json], limit: int) -> JobDetail:
    """`short` and `whole` are both forms of the job; at most `limit` allocations."""
    summary = _summary(short)
    newest = sorted(allocations, key=lambda one: int(one["CreateIndex"]), reverse=True)
    return JobDetail(
        **view.model_dump(),
        groups=[
            GroupView(
                name=str(group["Name"]),
                count=int(group.get("Count") or 0),
                **_counts([summary.get(str(group["Name"]), {})]),
                tasks=[
                    NomadTaskView(name=str(task["Name"]), driver=str(task.get("Driver") or ""))
                    for task in group.get("Tasks") or ()
                ],
            )
            for group in whole.get("TaskGroups") or ()
        ],
        allocations=[_allocation_view(one) for one in newest[:limit]],
    )


def _allocation_view(allocation: Json) -> AllocationView:
    states: Mapping[str, Json] = allocation.get("TaskStates") or {}
    events = [event for state in states.values() for event in state.get("Events") or ()]
    newest: Json = max(events, key=lambda event: int(event.get("Time") or 0), default={})
    return AllocationView(
        id=str(allocation["ID"]),
        node=str(allocation.get("NodeName") or ""),
        group=str(allocation.get("TaskGroup") or ""),
        state=str(allocation.get("ClientStatus") or ""),
        since=_moment(allocation.get("CreateTime")),
        event=str(newest.get("DisplayMessage") or newest.get("Type") or ""),
        tasks=[
            TaskStateView(
                name=name,
                state=str(state.get("State") or ""),
                failed=bool(state.get("Failed")),
                restarts=int(state.get("Restarts") or 0),
            )
            for name, state in sorted(states.items())
        ],
    )


def _summary(job: Json) -> Mapping[str, Json]:
    found: Mapping[str, Json] = (job.get("JobSummary") or {}).get("Summary") or {}
    return found


def _counts(groups: Iterable[Json]) -> dict[str, int]:
    sums = {"Running": 0, "Starting": 0, "Queued": 0}
    for group in groups:
        for name in sums:
            sums[name] += int(group.get(name) or 0)
    return {"running": sums["Running"], "starting": sums["Starting"], "waiting": sums["Queued"]}


def _moment(nanoseconds: Any) -> datetime:
    return datetime.fromtimestamp(int(nanoseconds or 0) / 1e9, UTC)
