"""Tools that show runs of Ansible and stop one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from agent.presentation import Blocks, StateLabel, page, table
from agent.presentation.text import count, duration, join_names
from agent.tools.machines.api import MachinesClient, Run, RunMachine, parse_answer
from agent.tools.plan import Plan, change
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from soundstage.database import utcnow
from soundstage.errors import Conflict, NotFound
from soundstage.views import read_view

LATEST = "latest"
_SHOWN_TASKS = 12


class ShowRuns(ToolRequest):
    run: str | None = Field(
        default=None, max_length=80, description="One run by its id or the end of it, or “latest”."
    )
    limit: int = Field(default=15, ge=1, le=200, description="How many, newest first.")


class Task(BaseModel, frozen=True, extra="ignore"):
    """One task on one machine, as the provisioning API tells it."""

    machine: str
    task: str
    result: str
    changed: bool
    seconds: float | None
    message: str


class RunLine(BaseModel, frozen=True):
    """A run in a few words. `summary` names playbook and machines, `progress` the state and for how long.

    `results` and `tasks` (those that failed, and the last ones) only where one run was asked for.
    """

    run_id: str
    state: str
    playbook: str
    machines: tuple[str, ...]
    requested_by: str
    cause: str
    hint: str
    created_at: datetime
    summary: str
    progress: str
    results: tuple[RunMachine, ...] = ()
    tasks: tuple[Task, ...] = ()
    task_results: dict[str, int] = {}


class RunLines(ToolResult):
    """`whole`: one run was asked for."""

    runs: tuple[RunLine, ...]
    whole: bool = False

    def presentation(self) -> Blocks:
        if self.whole:
            return one_run(self.runs[0])
        if not self.runs:
            return page("There are no runs yet. Say “Run the site playbook on gpu-1”.")
        rows = (
            (run.run_id, StateLabel(state=run.state, text=run.progress), run.summary, run.cause)
            for run in self.runs
        )
        return page(
            f"{count(len(self.runs), 'run')}, newest first:",
            table("Runs", ("Run", "State", "What", "Why"), rows),
        )


@tool(Act("read", "run:read"))
async def show_runs(context: ToolContext, request: ShowRuns) -> RunLines:
    """List the runs of Ansible, or show one with its tasks so far and why it failed."""
    async with context.services.machines(context.principal) as api:
        if request.run is not None:
            run = await find_run(api, request.run)
            tasks = parse_answer(list[Task], await api.get(f"/api/runs/{run.id}/tasks"))
            return RunLines(runs=(_line(run, tasks),), whole=True)
        runs = parse_answer(list[Run], await api.get("/api/runs", limit=request.limit))
    return RunLines(runs=tuple(map(_line, runs)))


class CancelRun(ToolRequest):
    run: str = Field(
        default=LATEST,
        max_length=80,
        description="Its id or the end of it, or “latest” for the one that goes on.",
    )


class RunCancelled(ToolResult):
    run_id: str
    done: str

    def presentation(self) -> Blocks:
        return page(self.done)


async def _plan_cancel(context: ToolContext, request: CancelRun) -> Plan:
    async with context.services.machines(context.principal) as api:
        run = await _open_run(api, request.run)
    what = "It is stopped; what it has done on the machines stays, and the rest is not done"
    return Plan(changes=(change(what, f"{run.id}: {run_summary(run)}"),))


@tool(
    Act("destructive", "run:cancel", approvers=0),
    undo="start the run again: what is done already is found done",
    plan=_plan_cancel,
)
async def cancel_run(context: ToolContext, request: CancelRun) -> RunCancelled:
    """Stop a run of Ansible. What it has done stays."""
    async with context.services.machines(context.principal) as api:
        run = await _open_run(api, request.run)
        done = parse_answer(Run, await api.post(f"/api/runs/{run.id}/cancel"))
    ending = "is cancelled" if done.ended else "is being stopped; what it has done stays"
    return RunCancelled(run_id=done.id, done=f"The run of {run_summary(done)} {ending}.")


async def find_run(api: MachinesClient, reference: str) -> Run:
    """By id, by the end of one, or the newest. Raises `run.not_found`."""
    folded = reference.strip().casefold()
    for run in parse_answer(list[Run], await api.get("/api/runs", limit=500)):
        if folded == LATEST or run.id == folded or (len(folded) >= 4 and run.id.endswith(folded)):
            return run
    raise NotFound(
        "run.not_found",
        "There is no run yet." if folded == LATEST else f"There is no run {reference.strip()!r}.",
        "Say “list the runs”.",
    )


async def _open_run(api: MachinesClient, reference: str) -> Run:
    if reference.strip().casefold() != LATEST:
        run = await find_run(api, reference)
        if run.ended:
            raise Conflict(
                "run.ended", f"The run {run.id} has ended: {run.state}.", "There is nothing to stop."
            )
        return run
    runs = parse_answer(list[Run], await api.get("/api/runs", state=["queued", "running"]))
    if not runs:
        raise NotFound("run.none_open", "No run is going on.", "Say “list the runs” to see what has been.")
    if len(runs) > 1:
        names = ", ".join(f"{run.id} ({run_summary(run)})" for run in runs[:5])
        raise Conflict("run.several_open", f"{len(runs)} runs go on: {names}.", "Say which, by its id.")
    return runs[0]


def one_run(run: RunLine) -> Blocks:
    """Returns where a run is, what it has done, and why it failed."""
    ended = run.state not in ("queued", "running")
    done = join_names([f"{number} {result}" for result, number in run.task_results.items()])
    tasks = f"{sum(run.task_results.values())} tasks{'' if ended else ' so far'}, {done}:"
    return page(
        f"The run {run.run_id} of {run.summary}: {run.progress} (asked for by {run.requested_by}).",
        table(
            "Machines of the run",
            ("Machine", "Result", "Changes"),
            (
                (one.name, one.result or "not yet", f"{one.changed} changed" if one.changed else "")
                for one in run.results
                if ended
            ),
        ),
        f"Why: {run.cause} {run.hint}".rstrip() if run.cause else "",
        tasks if run.task_results else "",
        table(
            "Tasks of the run",
            ("Machine", "Result", "Took", "Task", "Message"),
            (
                (one.machine, one.result, duration(one.seconds) if one.seconds else "", one.task, one.message)
                for one in run.tasks
            ),
        ),
        "It waits until its machines are free." if run.state == "queued" and not run.task_results else "",
    )


def _line(run: Run, tasks: Sequence[Task] | None = None) -> RunLine:
    return read_view(
        RunLine,
        run,
        run_id=run.id,
        machines=tuple(one.name for one in run.machines),
        summary=run_summary(run),
        progress=_progress(run),
        results=() if tasks is None else run.machines,
        tasks=_shown_tasks(tasks or ()),
        task_results=dict(Counter(one.result for one in tasks or ()).most_common()),
    )


def _shown_tasks(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Returns those that failed, and the last ones."""
    bad = [one for one in tasks if one.result != "ok"][:_SHOWN_TASKS]
    last = [one for one in tasks if one.result == "ok"][-_SHOWN_TASKS:]
    chosen = {id(one) for one in (*bad, *last)}
    return tuple(one for one in tasks if id(one) in chosen)[-2 * _SHOWN_TASKS :]


def run_summary(run: Run) -> str:
    """Returns `site.yaml on gpu-1 and gpu-2, tags nomad, trying only`."""
    parts = [f"{run.playbook.rpartition('/')[2]} on {join_names([one.name for one in run.machines], 3)}"]
    parts += [f"tags {' '.join(run.tags)}"] if run.tags else []
    return ", ".join([*parts, *(["trying only"] if run.check else [])])


def _progress(run: Run) -> str:
    """Returns `running for 3 minutes`, `succeeded in 45 s`, `queued for 10 s`."""
    if run.state == "queued":
        return f"queued for {duration((utcnow() - run.created_at).total_seconds())}"
    if run.started_at is None:
        return run.state
    if run.ended_at is None:
        return f"running for {duration((utcnow() - run.started_at).total_seconds())}"
    return f"{run.state} in {duration((run.ended_at - run.started_at).total_seconds())}"
