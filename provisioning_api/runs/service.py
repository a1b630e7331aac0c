"""The verbs of runs: ask, look, cancel, retry; the driver does the work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.audit.service import AuditLog
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState
from provisioning_api.runs.journal import RunJournal
from provisioning_api.runs.models import Run, RunMachine
from provisioning_api.runs.playbooks import PlaybookView, find_playbooks
from provisioning_api.runs.repository import Failures, Runs
from provisioning_api.runs.schemas import FailureView, RunMachineView, RunRequest, RunView
from provisioning_api.runs.states import OPEN, RunState
from soundstage.database import Database
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.paging import Page, PageRequest
from soundstage.tracing import new_trace_id, trace_id
from soundstage.views import read_view

CONFIGURABLE = frozenset(
    {MachineState.ENROLLED, MachineState.CONFIGURING, MachineState.READY, MachineState.FAILED}
)
GOOD = frozenset({"ok"})


@dataclass
class RunService:
    db: Database
    journal: RunJournal
    audit: AuditLog
    _: KW_ONLY
    project_dir: Path
    playbook: str
    wake: Callable[[], None]

    async def create(self, request: RunRequest, *, by: str) -> RunView:
        """Queues a run; it starts when its machines are free."""
        playbook = request.playbook or self.playbook
        if not (self.project_dir / playbook).is_file():
            raise Invalid(
                "run.playbook_missing",
                f"There is no {playbook} in {self.project_dir}.",
                "Check `provisioning.project_dir`.",
            )
        async with self.db.transaction() as session:
            names = sorted(set(request.machines))
            machines = await Machines(session).list_named(names)
            if missing := sorted(set(names) - {machine.name for machine in machines}):
                raise NotFound(
                    "run.machines_missing",
                    f"There are no machines called {', '.join(missing)}.",
                    "Name machines, one by one; there are no patterns. `soundstage machines list`.",
                )
            run = Run(
                playbook=playbook, tags=request.tags, check=request.check, reason="asked for", requested_by=by
            )
            await self.queue(session, run, machines)
            rows = (await Runs(session).machines_of([run.id]))[run.id]
        self.wake()
        return _view(run, rows)

    async def configure(self, session: AsyncSession, machine: Machine, *, reason: str, by: str) -> Run:
        """The run that makes a machine ready, in the caller's transaction; an open one is taken as it is.

        Call `wake` when the transaction is over.
        """
        existing = await Runs(session).open_of(machine.id)
        if existing is not None and not existing.check:
            return existing
        run = Run(playbook=self.playbook, reason=reason, requested_by=by)
        await self.queue(session, run, [machine])
        return run

    async def queue(self, session: AsyncSession, run: Run, machines: Sequence[Machine]) -> None:
        for machine in machines:
            if machine.state not in CONFIGURABLE or not (machine.host_key and machine.address):
                raise Conflict(
                    "run.machine_not_ready",
                    f"{machine.name} is {machine.state}, and cannot be configured.",
                    "It must be enrolled first: `soundstage machines show NAME` tells what is missing.",
                )
        run.state, run.trace_id = RunState.QUEUED, trace_id() or new_trace_id()
        await Runs(session).add_with_machines(run, [(machine.id, machine.name) for machine in machines])
        names = [machine.name for machine in machines]
        await self.journal.emit(session, run, "queued", machines=names, playbook=run.playbook)
        facts = {"playbook": run.playbook, "machines": names, "reason": run.reason, "check": run.check}
        await self.audit.record(session, run.requested_by, "run.queued", run.id, facts)

    async def find_page(self, states: Collection[RunState], request: PageRequest) -> Page[RunView]:
        """Newest first, from the place of a cursor on."""
        async with self.db.session() as session:
            runs = Runs(session)
            page = await runs.page(states, request)
            machines = await runs.machines_of([run.id for run in page.items])
        return page.of([_view(run, machines[run.id]) for run in page.items])

    async def get(self, run_id: str) -> RunView:
        async with self.db.session() as session:
            run = await _found(session, run_id)
            machines = await Runs(session).machines_of([run.id])
        return _view(run, machines[run.id])

    async def cancel(self, run_id: str, *, by: str) -> RunView:
        """A queued run ends at once; the processes of a running one are ended by the driver."""
        async with self.db.transaction() as session:
            run = await _found(session, run_id)
            state = RunState(run.state)
            if state is RunState.QUEUED:
                await self.journal.move(session, run, RunState.CANCELLED, cause=f"Cancelled by {by}.")
            elif state is RunState.RUNNING:
                run.cancel_wanted = True
            else:
                await self.journal.move(session, run, RunState.CANCELLED)
            await self.audit.record(session, by, "run.cancelled", run.id)
            machines = await Runs(session).machines_of([run.id])
        self.wake()
        return _view(run, machines[run.id])

    async def retry(self, run_id: str, *, by: str) -> RunView:
        """A run of the same on the machines that did not come through, and on those alone."""
        async with self.db.transaction() as session:
            run = await _found(session, run_id)
            again = await self.retry_in(session, run, reason=f"retry of {run.id}", by=by)
            if again is None:
                raise Conflict(
                    "run.nothing_to_retry",
                    "No machine of this run failed, or it has not ended yet.",
                    "Start a new run instead.",
                )
            machines = await Runs(session).machines_of([again.id])
        self.wake()
        return _view(again, machines[again.id])

    async def retry_in(self, session: AsyncSession, run: Run, *, reason: str, by: str) -> Run | None:
        """The same in the caller's transaction; None when there is nothing to repeat."""
        rows = (await Runs(session).machines_of([run.id]))[run.id]
        names = [row.name for row in rows if row.result not in GOOD]
        if RunState(run.state) in OPEN or not names:
            return None
        again = Run(
            playbook=run.playbook,
            tags=run.tags,
            check=run.check,
            reason=reason,
            requested_by=by,
            retry_of=run.id,
        )
        ids = [row.machine_id for row in rows if row.result not in GOOD]
        machines = [machine for one in ids if (machine := await Machines(session).find(one)) is not None]
        await self.queue(session, again, machines)
        return again

    async def playbooks(self) -> Sequence[PlaybookView]:
        """Returns what a run may name."""
        return await asyncio.to_thread(find_playbooks, self.project_dir)

    async def failures(self, *, solved: bool | None, limit: int) -> Sequence[FailureView]:
        """Newest first; `solved`: a later run succeeded on the same machine."""
        async with self.db.session() as session:
            found = await Failures(session).list(solved=solved, limit=limit)
        return [FailureView.model_validate(failure, from_attributes=True) for failure in found]


async def _found(session: AsyncSession, run_id: str) -> Run:
    missing = NotFound("run.not_found", f"There is no run {run_id!r}.", "List them: `soundstage runs list`.")
    return await Runs(session).require(run_id, missing)


def _view(run: Run, machines: Sequence[RunMachine]) -> RunView:
    return read_view(
        RunView, run, machines=[RunMachineView.model_validate(row, from_attributes=True) for row in machines]
    )
