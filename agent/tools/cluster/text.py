"""Nodes, cards and jobs of the farm in people's words; used by the tools on the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.presentation.text import duration
from farm.nomad.client import Json
from farm.nomad.overview import CardOverview
from soundstage.database import utcnow

_SHORT = {"cpu": "computing power", "memory": "memory", "disk": "disk"}


def of_a_video(job: Json) -> bool:
    """Returns whether the farm created the job for one step of a video."""
    return "ticket" in (job.get("Meta") or {})


def card_text(card: CardOverview) -> str:
    """Returns `RTX 4060 8 GiB free`, `RTX 3080 10 GiB 5 of 10 shares taken`."""
    name = f"{card.model} {card.memory_mib / 1024:.3g} GiB"
    if card.fault:
        return f"{name} broken: {card.fault}"
    if card.shares:
        return f"{name} {card.taken} of {card.shares} shares taken"
    return f"{name} {'taken' if card.taken else 'free'}"


def counts(job: Json) -> tuple[int, int, int]:
    """Counts how much of a job runs, waits for a place, and starts just now."""
    groups = ((job.get("JobSummary") or {}).get("Summary") or {}).values()
    names = ("Running", "Queued", "Starting")
    running, queued, starting = (sum(int(group.get(name) or 0) for group in groups) for name in names)
    return running, queued, starting


def job_state(job: Json) -> str:
    """`2 run, 1 waits`, `stopped`."""
    running, queued, starting = counts(job)
    if job.get("Stop"):
        return "stopped"
    named = ((running, "run"), (starting, "start"), (queued, "wait"))
    parts = [f"{number} {verb}{'s' if number == 1 else ''}" for number, verb in named if number]
    idle = (
        "ready to be started"
        if job.get("ParameterizedJob")
        else "ended"
        if job.get("Status") == "dead"
        else "idle"
    )
    return ", ".join(parts) or idle


def why_not_placed(failed: Mapping[str, Json]) -> str:
    """One sentence out of what Nomad counted while it looked for a place; empty when it found one."""
    unique = dict.fromkeys(reason for metrics in failed.values() for reason in _reasons(metrics))
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


def allocation_age(allocation: Json) -> str:
    """Returns `since 3 minutes`."""
    created_s = int(allocation.get("CreateTime") or 0) / 1e9
    return f"since {duration(utcnow().timestamp() - created_s)}"


def last_event(allocation: Json) -> str:
    """Returns the last thing that happened to an allocation, as Nomad words it."""
    states = (allocation.get("TaskStates") or {}).values()
    events = [event for state in states for event in state.get("Events") or ()]
    newest: Json = max(events, key=lambda event: int(event.get("Time") or 0), default={})
    return str(newest.get("DisplayMessage") or newest.get("Type") or "")
