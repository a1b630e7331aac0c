"""The end of a machine: out of service, every credential revoked, wiped and looked at, recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.decommission.schemas import RetirePlan, RetireRequest
from provisioning_api.enrolment.service import EnrolmentService
from provisioning_api.machines.hardware import Hardware
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.schemas import MachineDetail
from provisioning_api.machines.service import MachineService, found_machine
from provisioning_api.machines.states import MEMBERS, MachineState
from provisioning_api.reports.schemas import WipedDisk
from provisioning_api.runs.repository import Runs
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, Invalid

# Of a disk that is really empty this many places are read; fewer prove too little.
MIN_SAMPLES = 64


class Drainer(Protocol):
    """Takes work off a machine; raises when that cannot be asked for."""

    async def drain(self, name: str) -> bool:
        """Whether there was a node to drain."""
        ...


class Decommission:
    def __init__(
        self,
        db: Database,
        journal: MachineJournal,
        machines: MachineService,
        enrolments: EnrolmentService,
        drainer: Drainer | None,
        revoked: Callable[[], None],
    ) -> None:
        """`revoked` is called when credentials were revoked here that an engine has to be told of."""
        self._db = db
        self._journal = journal
        self._machines = machines
        self._enrolments = enrolments
        self._drainer = drainer
        self._revoked = revoked

    async def plan(self, name: str, *, wipe: bool, drain: bool) -> RetirePlan:
        """What `retire` would do now; changes nothing."""
        async with self._db.session() as session:
            drains = drain and self._drainer is not None
            return _plan(await found_machine(session, name), wipe=wipe, drains=drains)

    async def retire(self, name: str, request: RetireRequest, *, by: str) -> MachineDetail:
        """Drains and revokes now; the wipe happens at its next network boot, and the machine is retired
        after it.
        """
        machine = await self._machines.get(name)
        if request.confirm != machine.name:
            raise Invalid(
                "retire.not_confirmed",
                f"The name that was typed is not {machine.name}.",
                "Type the name of the machine, to be sure that it is the right one.",
            )
        drainer = self._drainer if request.drain else None
        if drainer is not None and machine.state in MEMBERS:
            # Outside the transaction: Nomad may take its time.
            await drainer.drain(machine.name)
        async with self._db.transaction() as session:
            row = await found_machine(session, machine.id)
            plan = _plan(row, wipe=request.wipe, drains=drainer is not None)
            if request.plan not in (None, plan.digest):
                raise Conflict(
                    "retire.plan_changed", "The plan is not what it was.", "Read it again, then decide."
                )
            if await Runs(session).open_of(row.id) is not None:
                raise Conflict(
                    "retire.run_open", f"A run on {row.name} has not ended.", "Cancel it or wait for its end."
                )
            await self._journal.move(session, row, MachineState.DRAINING, by=by, reason=request.reason)
            revoked = await self._enrolments.revoke_all(session, row, f"retired by {by}")
            row.wiping = {"by": by, "reason": request.reason} if request.wipe else None
            row.host_key, row.host_key_from = None, ""
            await self._journal.decide(
                session, row, by, "retiring",
                revoked=revoked, wipe=request.wipe, drain=drainer is not None, reason=request.reason,
            )  # fmt: skip
            if not request.wipe:
                await self._retired(session, row, by, {"wiped": False})
        self._revoked()
        return await self._machines.get(machine.id)

    async def wiped(self, session: AsyncSession, machine: Machine, disks: Sequence[WipedDisk]) -> None:
        """What the agent says that it wiped, held against what we know that is in the machine."""
        if machine.where is not MachineState.DRAINING or machine.wiping is None:
            raise Conflict(
                "retire.not_wiping",
                f"{machine.name} is not to be wiped.",
                "Retire it first, by name and on purpose.",
            )
        facts = [disk.model_dump() for disk in disks]
        if problem := _problem(Hardware.model_validate(machine.hardware or {}), disks):
            await self._journal.decide(
                session, machine, "its deploy agent", "wipe_failed", disks=facts, why=problem
            )
            await self._journal.move(
                session, machine, MachineState.FAILED,
                by="its deploy agent", cause=f"The wipe cannot be relied upon: {problem}.",
                hint="Destroy the disk, or retire the machine again to repeat the wipe.",
            )  # fmt: skip
            return
        by = str(machine.wiping.get("by", ""))
        await self._retired(session, machine, by, {"wiped": True, "disks": facts, "at": utcnow().isoformat()})

    async def _retired(self, session: AsyncSession, machine: Machine, by: str, facts: dict[str, Any]) -> None:
        """Its cards may turn up in another machine: the addresses are free again."""
        machine.wiping, machine.agent_key = None, None
        macs = (await Machines(session).macs_of([machine.id]))[machine.id]
        await self._journal.move(session, machine, MachineState.RETIRED, by=by)
        await self._journal.decide(
            session, machine, by, "retired", macs=list(macs), uuid=machine.uuid, **facts
        )
        await Machines(session).drop_macs(macs)


def _plan(machine: Machine, *, wipe: bool, drains: bool) -> RetirePlan:
    hardware = Hardware.model_validate(machine.hardware or {})
    wipes = [
        f"{disk.name} ({disk.bytes / 1e9:.0f} GB, {disk.model or 'unknown model'})" for disk in hardware.disks
    ]
    steps = []
    if machine.where in MEMBERS and drains:
        steps.append("Drain its Nomad node: work moves to other machines.")
    steps.append("Revoke its host certificate, its X.509 certificate, its tokens at the engines and its own.")
    if wipe:
        steps += [f"Wipe at its next network boot: {disk}." for disk in wipes or ["all its disks"]]
        steps.append(
            f"Read at least {MIN_SAMPLES} places of each disk again; retire it only when all are empty."
        )
    else:
        steps.append("Leave its disks as they are.")
    content = [machine.id, machine.state, machine.hardware_sha256, steps]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return RetirePlan(name=machine.name, steps=steps, wipes=wipes if wipe else [], digest=digest)


def _problem(hardware: Hardware, disks: Sequence[WipedDisk]) -> str:
    """Why the wipe proves nothing; empty when it does."""
    wiped = {disk.name: disk for disk in disks}
    for known in hardware.disks:
        if known.name not in wiped:
            return f"{known.name} was not wiped"
        if wiped[known.name].bytes < known.bytes:
            return f"only {wiped[known.name].bytes} of {known.bytes} bytes of {known.name} were"
    for disk in disks:
        if disk.samples < MIN_SAMPLES:
            return f"only {disk.samples} places of {disk.name} were looked at"
        if disk.dirty:
            return f"{disk.dirty} of {disk.samples} places of {disk.name} still hold something"
    return "" if disks else "no disk was wiped"
