"""Tools that show runs of Ansible and stop one."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from agent.tools.machines.api import MachinesClient, Run, understood
from agent.tools.machines.runs_text import Task, named_in_short, run_lines, shown_tasks, state_of
from agent.tools.plan import Plan, change
from agent.tools.record import ToolContext, ToolRequest, ToolResult, tool
from agent.tools.table import aligned
from soundstage.errors import Conflict, NotFound

LATEST = "latest"


class ShowRuns(ToolRequest):
    run: str | None = Field(
        default=None, max_length=80, description="One run by its id or the end of it, or “latest”."
    )
    limit: int = Field(default=15, ge=1, le=200, description="How many, newest first.")


class RunLine(ToolResult):
    """A run in a few words; `tasks` only where one run was asked for, the last ones."""

    run_id: str
    state: str
    playbook: str
    machines: tuple[str, ...]
    requested_by: str
    cause: str
    hint: str
    created_at: datetime
    tasks: tuple[Task, ...] = ()


class RunLines(ToolResult):
    runs: tuple[RunLine, ...]
    lines: tuple[str, ...]

    def sentence(self) -> str:
        return "\n".join(self.lines)


@tool(effect="read", permission="run:read")
async def show_runs(context: ToolContext, request: ShowRuns) -> RunLines:
    """List the runs of Ansible, or show one with its tasks so far and why it failed."""
    async with context.services.machines(context.principal) as api:
        if request.run is not None:
            run = await found_run(api, request.run)
            tasks: list[Task] = understood(list[Task], await api.get(f"/api/runs/{run.id}/tasks"))
            line = _line(run, shown_tasks(tasks))
            return RunLines(runs=(line,), lines=tuple(run_lines(run, tasks)))
        runs: list[Run] = understood(list[Run], await api.get("/api/runs", limit=request.limit))
    if not runs:
        return RunLines(runs=(), lines=("There are no runs yet. Say “Run the site playbook on gpu-1”.",))
    rows = [[run.id, state_of(run), named_in_short(run), run.cause] for run in runs]
    head = f"{len(runs)} run{'' if len(runs) == 1 else 's'}, newest first:"
    return RunLines(runs=tuple(map(_line, runs)), lines=(head, *aligned(rows)))


class CancelRun(ToolRequest):
    run: str = Field(
        default=LATEST,
        max_length=80,
        description="Its id or the end of it, or “latest” for the one that goes on.",
    )


class RunCancelled(ToolResult):
    run_id: str
    done: str

    def sentence(self) -> str:
        return self.done


async def _plan_cancel(context: ToolContext, request: CancelRun) -> Plan:
    async with context.services.machines(context.principal) as api:
        run = await _open_run(api, request.run)
    what = "It is stopped; what it has done on the machines stays, and the rest is not done"
    return Plan(changes=(change(what, f"{run.id}: {named_in_short(run)}"),))


@tool(
    effect="destructive",
    permission="run:cancel",
    undo="start the run again: what is done already is found done",
    plan=_plan_cancel,
)
async def cancel_run(context: ToolContext, request: CancelRun) -> RunCancelled:
    """Stop a run of Ansible. What it has done stays."""
    async with context.services.machines(context.principal) as api:
        run = await _open_run(api, request.run)
        done: Run = understood(Run, await api.post(f"/api/runs/{run.id}/cancel"))
    ending = "is cancelled" if done.ended else "is being stopped; what it has done stays"
    return RunCancelled(run_id=done.id, done=f"The run of {named_in_short(done)} {ending}.")


async def found_run(api: MachinesClient, given: str) -> Run:
    """By id, by the end of one, or the newest. Raises `run.not_found`."""
    runs: list[Run] = understood(list[Run], await api.get("/api/runs", limit=500))
    wanted = given.strip().casefold()
    for run in runs:
        if wanted == LATEST or run.id == wanted or (len(wanted) >= 4 and run.id.endswith(wanted)):
            return run
    raise NotFound(
        "run.not_found",
        "There is no run yet." if wanted == LATEST else f"There is no run {given.strip()!r}.",
        "Say “list the runs”.",
    )


async def _open_run(api: MachinesClient, given: str) -> Run:
    if given.strip().casefold() != LATEST:
        run = await found_run(api, given)
        if run.ended:
            raise Conflict(
                "run.ended", f"The run {run.id} has ended: {run.state}.", "There is nothing to stop."
            )
        return run
    runs: list[Run] = understood(list[Run], await api.get("/api/runs", state=["queued", "running"]))
    if not runs:
        raise NotFound("run.none_open", "No run is going on.", "Say “list the runs” to see what has been.")
    if len(runs) > 1:
        names = ", ".join(f"{run.id} ({named_in_short(run)})" for run in runs[:5])
        raise Conflict("run.several_open", f"{len(runs)} runs go on: {names}.", "Say which, by its id.")
    return runs[0]


def _line(run: Run, tasks: tuple[Task, ...] = ()) -> RunLine:
    return RunLine(
        run_id=run.id,
        state=run.state,
        playbook=run.playbook,
        machines=tuple(one.name for one in run.machines),
        requested_by=run.requested_by,
        cause=run.cause,
        hint=run.hint,
        created_at=run.created_at,
        tasks=tasks,
    )
