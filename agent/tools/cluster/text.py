"""Nodes, cards and jobs of the farm in people's words; used by the tools on the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.tools.table import aligned, lasting, listed
from farm.nomad.client import Json
from farm.nomad.overview import CardOverview, NodeOverview
from soundstage.database import utcnow

_NODE_STATES = {"ready": "ready", "draining": "being emptied", "ineligible": "takes no work", "down": "down"}
_SHORT = {"cpu": "computing power", "memory": "memory", "disk": "disk"}


def of_a_video(job: Json) -> bool:
    """Whether the farm made it for one step of a video."""
    return "ticket" in (job.get("Meta") or {})


def node_lines(nodes: Sequence[NodeOverview]) -> list[str]:
    rows = [
        [
            node.name,
            _NODE_STATES.get(node.state, node.state),
            ", ".join(map(_card, node.cards)),
            listed(node.jobs, 4) if node.jobs else "idle",
        ]
        for node in nodes
    ]
    return aligned(rows) if rows else []


def _card(card: CardOverview) -> str:
    """`RTX 4060 8 GiB free`, `RTX 3080 10 GiB 5 of 10 shares taken`."""
    name = f"{card.model} {card.memory_mib / 1024:.3g} GiB"
    if card.fault:
        return f"{name} broken: {card.fault}"
    if card.shares:
        return f"{name} {card.taken} of {card.shares} shares taken"
    return f"{name} {'taken' if card.taken else 'free'}"


def counts(job: Json) -> tuple[int, int, int]:
    """How much of a job runs, waits for a place, and starts just now."""
    groups = ((job.get("JobSummary") or {}).get("Summary") or {}).values()
    names = ("Running", "Queued", "Starting")
    running, queued, starting = (sum(int(group.get(name) or 0) for group in groups) for name in names)
    return running, queued, starting


def job_state(job: Json) -> str:
    """`2 run, 1 waits`, `stopped`."""
    running, queued, starting = counts(job)
    if job.get("Stop"):
        return "stopped"
    parts = [
        f"{running} run{'s' if running == 1 else ''}" if running else "",
        f"{starting} start{'s' if starting == 1 else ''}" if starting else "",
        f"{queued} wait{'s' if queued == 1 else ''}" if queued else "",
    ]
    idle = (
        "ready to be started"
        if job.get("ParameterizedJob")
        else "ended"
        if job.get("Status") == "dead"
        else "idle"
    )
    return ", ".join(part for part in parts if part) or idle


def why_not_placed(failed: Mapping[str, Json]) -> str:
    """One sentence out of what Nomad counted while it looked for a place; empty when it found one."""
    reasons: list[str] = []
    for metrics in failed.values():
        reasons += _reasons(metrics)
    unique = list(dict.fromkeys(reasons))
    return f"no place: {'; '.join(unique)}" if unique else ""


def _reasons(metrics: Json) -> Iterable[str]:
    looked = int(metrics.get("NodesEvaluated") or 0)
    if not looked:
        yield "no node takes work of this kind"
    for constraint, number in (metrics.get("ConstraintFiltered") or {}).items():
        if "device" in str(constraint):
            yield f"{_nodes(number)} no card as large as it asks for"
        else:
            yield f"{_nodes(number)} not what it asks for ({constraint})"
    for dimension, number in (metrics.get("DimensionExhausted") or {}).items():
        if str(dimension).startswith("devices"):
            yield f"{_nodes(number)} no card free"
        else:
            yield f"{_nodes(number)} too little {_SHORT.get(str(dimension), str(dimension))} free"
    missing = metrics.get("ClassFiltered") or {}
    if looked and not (metrics.get("ConstraintFiltered") or metrics.get("DimensionExhausted") or missing):
        yield f"none of {looked} nodes can take it now"


def _nodes(number: Any) -> str:
    return f"{number} node{' has' if int(number) == 1 else 's have'}"


def allocation_lines(allocations: Sequence[Json]) -> list[str]:
    """Where parts of a job run or ran, newest first, with the last thing that happened to them."""
    rows = [
        [str(one.get("NodeName") or ""), str(one.get("ClientStatus")), _age(one), _last_event(one)]
        for one in sorted(allocations, key=lambda one: int(one["CreateIndex"]), reverse=True)[:10]
    ]
    return aligned(rows) if rows else []


def _age(allocation: Json) -> str:
    made_s = int(allocation.get("CreateTime") or 0) / 1e9
    return f"since {lasting(utcnow().timestamp() - made_s)}"


def _last_event(allocation: Json) -> str:
    states = (allocation.get("TaskStates") or {}).values()
    events = [event for state in states for event in state.get("Events") or ()]
    newest: Json = max(events, key=lambda event: int(event.get("Time") or 0), default={})
    return str(newest.get("DisplayMessage") or newest.get("Type") or "")
