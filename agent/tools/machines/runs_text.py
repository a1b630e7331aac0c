"""Runs of Ansible in people's words; used by the tools on runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from agent.tools.machines.api import Run
from agent.tools.table import aligned, lasting, listed
from soundstage.database import utcnow

_SHOWN_TASKS = 12


class Task(BaseModel):
    """One task on one machine, as the provisioning API tells it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    machine: str
    task: str
    result: str
    changed: bool
    seconds: float | None
    message: str


def shown_tasks(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """What went wrong, and the last ones."""
    bad = [one for one in tasks if one.result != "ok"][:_SHOWN_TASKS]
    last = [one for one in tasks if one.result == "ok"][-_SHOWN_TASKS:]
    chosen = {id(one) for one in (*bad, *last)}
    return tuple(one for one in tasks if id(one) in chosen)[-2 * _SHOWN_TASKS :]


def named_in_short(run: Run) -> str:
    """`site.yaml on gpu-1 and gpu-2, tags nomad, trying only`."""
    parts = [f"{run.playbook.rpartition('/')[2]} on {listed([one.name for one in run.machines], 3)}"]
    parts += [f"tags {' '.join(run.tags)}"] if run.tags else []
    return ", ".join([*parts, *(["trying only"] if run.check else [])])


def state_of(run: Run) -> str:
    """`running for 3 minutes`, `succeeded in 45 s`, `queued for 10 s`."""
    if run.state == "queued":
        return f"queued for {lasting((utcnow() - run.created_at).total_seconds())}"
    if run.started_at is None:
        return run.state
    if run.ended_at is None:
        return f"running for {lasting((utcnow() - run.started_at).total_seconds())}"
    return f"{run.state} in {lasting((run.ended_at - run.started_at).total_seconds())}"


def run_lines(run: Run, tasks: Sequence[Task]) -> list[str]:
    """One run: where it is, what it has done, and why it failed."""
    lines = [f"The run {run.id} of {named_in_short(run)}: {state_of(run)} (asked for by {run.requested_by})."]
    results = [
        [one.name, one.result or "not yet", f"{one.changed} changed" if one.changed else ""]
        for one in run.machines
    ]
    if run.ended:
        lines += aligned(results)
    if run.cause:
        lines.append(f"Why: {run.cause} {run.hint}".rstrip())
    if tasks:
        counted = Counter(one.result for one in tasks)
        done = listed([f"{number} {result}" for result, number in counted.most_common()])
        lines.append(
            f"{len(tasks)} tasks so far, {done}:" if not run.ended else f"{len(tasks)} tasks, {done}:"
        )
        rows = [
            [one.machine, one.result, lasting(one.seconds) if one.seconds else "", one.task, one.message]
            for one in shown_tasks(tasks)
        ]
        lines += aligned(rows)
    elif run.state == "queued":
        lines.append("It waits until its machines are free.")
    return lines
