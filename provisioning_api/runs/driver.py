"""Drives runs: starts what may start, attends what runs, and takes up what another process left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from provisioning_api.certificates.revocations import Revocations
from provisioning_api.certificates.ssh_authority import SshAuthority
from provisioning_api.inventory.hosts import farm_of, snapshot
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MEMBERS, MachineState
from provisioning_api.runs import process
from provisioning_api.runs.ending import RunEnding
from provisioning_api.runs.folder import Order, RunFolders
from provisioning_api.runs.journal import RunJournal
from provisioning_api.runs.models import Run
from provisioning_api.runs.reading import RunReader
from provisioning_api.runs.repository import Runs
from provisioning_api.runs.schemas import End
from provisioning_api.runs.service import CONFIGURABLE, RunService
from provisioning_api.runs.states import RunState
from soundstage.background import ItemWorker, LeaderLock
from soundstage.database import Database, utcnow
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger
from soundstage.tracing import span, trace

log = get_logger(__name__)

POLL_S = 0.25
SHARED_POLL_S = 2.0
# A machine whose process was restarted ends the runs that it does not drive any more.
OTHER_MACHINE_GRACE_S = 20.0
# Ansible's own limit comes first; this is for a process that does not keep it.
LATE_S = 60.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waits or runs, and its machines."""

    run_id: str
    machines: frozenset[str]


def startable(queued: Sequence[Waiting], running: Sequence[Waiting], at_once: int) -> list[str]:
    """Returns the ids of queued runs that may start now, in the order of `queued` (oldest first).

    No machine is in two runs at a time, and none overtakes an older run that waits for one of its machines.
    """
    busy = frozenset[str]().union(*(run.machines for run in running))
    free, chosen = at_once - len(running), list[str]()
    for run in queued:
        if len(chosen) < free and not run.machines & busy:
            chosen.append(run.run_id)
        busy |= run.machines
    return chosen


@dataclass
class RunDriver:
    db: Database
    journal: RunJournal
    machines: MachineJournal
    folders: RunFolders
    ssh: SshAuthority
    reader: RunReader
    ending: RunEnding
    revocations: Revocations
    _: KW_ONLY
    at_once: int
    timeout_s: float
    max_stored: int
    user: str
    lock: LeaderLock
    """Held by the one process that drives runs."""
    _service: RunService | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # Only processes on one PostgreSQL have to look for what another one has queued.
        poll_s = None if self.db.is_sqlite else SHARED_POLL_S
        self._worker = ItemWorker(
            "runs", self._due, self._drive, max_active=None, poll_s=poll_s, lock=self.lock
        )

    def wake(self) -> None:
        """Makes the driver check for runs to start or cancel."""
        self._worker.wake()

    async def start(self, service: RunService) -> None:
        """Reports failures that an earlier process did not (TODO.md), then takes over its runs and starts new
        ones whenever it is woken.
        """
        self._service = service
        await self.ending.report_failures()
        if not self.db.is_sqlite and await self.lock.is_locked():
            await self._end_local_runs()
        await self._worker.start()

    async def close(self) -> None:
        """Stops following. Runs go on: the next process takes them over."""
        await self._worker.close()

    async def _end_local_runs(self) -> None:
        """Ends the runs that this machine began before another one took them over."""
        async with self.db.session() as session:
            running = await Runs(session).in_state(RunState.RUNNING)
        for run in running:
            if await asyncio.to_thread(self.folders.path(run.id).exists):
                log.warning("run.driven_elsewhere", run=run.id)
                await process.end(self.folders.path(run.id), run.id)

    async def _due(self, in_flight: Collection[str], _: int) -> Sequence[str]:
        """Returns running runs without a follower (another process began them), and queued ones that may
        start.
        """
        async with self.db.session() as session:
            runs = Runs(session)
            queued, running = await runs.in_state(RunState.QUEUED), await runs.in_state(RunState.RUNNING)
            machines = await runs.machines_of([run.id for run in (*queued, *running)])
        waiting = {
            run_id: Waiting(run_id, frozenset(row.machine_id for row in rows))
            for run_id, rows in machines.items()
        }
        # One that is about to start has its machines already.
        busy = [run.id for run in running] + [run.id for run in queued if run.id in in_flight]
        pending = [run.id for run in queued if run.id not in in_flight]
        orphaned = [run.id for run in running if run.id not in in_flight]
        return orphaned + startable(
            [waiting[run_id] for run_id in pending], [waiting[run_id] for run_id in busy], self.at_once
        )

    async def _drive(self, run_id: str) -> None:
        """Starts a queued run and follows it until it has ended and that is written down."""
        async with self.db.session() as session:
            run = await Runs(session).find(run_id)
        if run is None:
            return
        about = {"soundstage.run.id": run_id, "soundstage.playbook": run.playbook}
        with trace(run.trace_id), span("run playbook", about) as recorded:
            await self._follow(run_id)
            async with self.db.session() as session:
                ended = await Runs(session).find(run_id)
            if ended is not None:
                recorded.set_attribute("soundstage.state", str(ended.state))

    async def _follow(self, run_id: str) -> None:
        await self._begin(run_id)
        folder = self.folders.path(run_id)
        if not self.db.is_sqlite and not await asyncio.to_thread(folder.exists):
            # Another machine began it. It may live, and two runs must not configure one machine.
            await asyncio.sleep(OTHER_MACHINE_GRACE_S)
        while not await self._step(run_id, folder):
            continue

    async def _begin(self, run_id: str) -> None:
        """Moves the run to running before its process starts: after a crash in between it is found lost."""
        async with self.db.transaction() as session:
            run = await Runs(session).find(run_id)
            if run is None or RunState(run.state) is not RunState.QUEUED:
                return
            rows = (await Runs(session).machines_of([run_id]))[run_id]
            machines = [machine for row in rows if (machine := await Machines(session).find(row.machine_id))]
            gone = [machine.name for machine in machines if machine.state not in CONFIGURABLE]
            if gone:
                await self.journal.move(
                    session, run, RunState.FAILED,
                    cause=f"Not members any more: {', '.join(gone)}.",
                    hint="Start a run on the other machines.",
                )  # fmt: skip
                return
            await self.journal.move(session, run, RunState.RUNNING)
            for machine in machines:
                if not run.check and machine.state is not MachineState.CONFIGURING:
                    await self.machines.move(
                        session, machine, MachineState.CONFIGURING, by=f"run {run.id}", run_id=run.id
                    )
        try:
            order = await self._order(run, machines)
            folder = await asyncio.to_thread(self.folders.write, order)
            await process.start(folder, run_id)
        except OSError as error:
            # Nothing was changed on any machine; the run says why instead of waiting for ever.
            reason = f"The run could not be started: {error.strerror or error}."
            await self.ending.write(
                run_id, self.folders.path(run_id), End(status="error", rc=70, reason=reason)
            )

    async def _order(self, run: Run, machines: list[Machine]) -> Order:
        folder = self.folders.path(run.id)
        known = await self.revocations.host_key_list()
        # Of each machine the very key that it enrolled with, too: the farm's own authority may have signed it
        # since (role ssh_hardening), and not ours. A revoked key stays revoked.
        pins = [f"{machine.name} {machine.host_key}" for machine in machines if machine.host_key]
        options = (
            f"-o UserKnownHostsFile={folder / 'ssh' / 'known_hosts'} -o GlobalKnownHostsFile=/dev/null "
            "-o StrictHostKeyChecking=yes -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no "
            "-o IdentitiesOnly=yes -o IdentityAgent=none"
        )
        connection = {
            "ansible_ssh_private_key_file": str(folder / "ssh" / "key"),
            "ansible_ssh_common_args": options,
        }
        # All members: a machine is configured as part of its farm, whose servers it must know. Only those of
        # the run are reached for.
        async with self.db.session() as session:
            members = [one for one in await Machines(session).list(MEMBERS) if one.address]
            farm = await farm_of(session, self.ssh, self.user)
        known_names = {machine.name for machine in machines}
        all_members = [*machines, *(one for one in members if one.name not in known_names)]
        return Order(
            run_id=run.id,
            playbook=run.playbook,
            tags=tuple(run.tags),
            check=run.check,
            inventory=snapshot(all_members, farm, connection),
            limit=tuple(sorted(known_names)),
            known_hosts=known + "".join(f"{pin}\n" for pin in pins),
        )

    async def _step(self, run_id: str, folder: Path) -> bool:
        async with self.db.session() as session:
            run = await Runs(session).find(run_id)
        if run is None or RunState(run.state) is not RunState.RUNNING:
            return True
        living = await asyncio.to_thread(process.is_alive, folder)
        late = run.started_at is not None and (_age_s(run) > self.timeout_s + LATE_S)
        if living and (run.cancel_wanted or late):
            await process.end(folder, run_id)
            living = False
        if await self.reader.advance(run_id, folder):
            return False
        if living:
            await asyncio.sleep(POLL_S)
            return False
        await process.end(folder, run_id)
        while await self.reader.advance(run_id, folder):
            pass
        end = End(status="timeout", rc=254) if late and not run.cancel_wanted else None
        state = await self.ending.write(run_id, folder, end)
        await asyncio.to_thread(self.folders.forget_key, run_id)
        if state is RunState.LOST:
            await self._resume(run_id)
        await self._rotate()
        return True

    async def _resume(self, run_id: str) -> None:
        """A lost run is taken up again on what it had not finished: once, so that nothing circles for
        ever.
        """
        if self._service is None:
            return
        async with self.db.transaction() as session:
            run = await Runs(session).find(run_id)
            before = await Runs(session).find(run.retry_of) if run is not None and run.retry_of else None
            if run is None or (before is not None and RunState(before.state) is RunState.LOST):
                return
            try:
                await self._service.retry_in(session, run, reason=f"resumes {run.id}", by="restart")
            except SoundstageError as error:
                log.warning("a lost run is not taken up again", run=run_id, reason=error.message)
        self.wake()

    async def _rotate(self) -> None:
        async with self.db.session() as session:
            runs = Runs(session)
            ended = list(await runs.list_ended())[: self.max_stored]
            open_ones = [*await runs.in_state(RunState.QUEUED), *await runs.in_state(RunState.RUNNING)]
        await asyncio.to_thread(self.folders.rotate, {*ended, *(run.id for run in open_ones)})


def _age_s(run: Run) -> float:
    return (utcnow() - run.started_at).total_seconds() if run.started_at else 0.0
