"""Retires machines: out of service, every credential revoked, disks wiped, verified and recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.decommission.schemas import RetirePlan, RetireRequest
from provisioning_api.engines.nomad import NomadNodes
from provisioning_api.enrolment.schemas import SignedCall
from provisioning_api.enrolment.service import RETIRED_BY, EnrolmentService
from provisioning_api.machines.hardware import Disk, Hardware
from provisioning_api.machines.identity import usable_serial
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.schemas import MachineDetail
from provisioning_api.machines.service import MachineService, get_machine
from provisioning_api.machines.states import MEMBERS, MachineState
from provisioning_api.reports.schemas import WipedDisk
from provisioning_api.runs.repository import Runs
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, Invalid

# Samples read per disk to verify the wipe; fewer are rejected.
MIN_SAMPLES = 64


@dataclass
class Decommission:
    """`on_revoked` is called when credentials were revoked here that have to be revoked in an engine too."""

    db: Database
    journal: MachineJournal
    machines: MachineService
    enrolments: EnrolmentService
    nomad: NomadNodes | None
    on_revoked: Callable[[], None]

    async def plan(self, name: str, *, wipe: bool, drain: bool) -> RetirePlan:
        """Returns what `retire` would do now; changes nothing."""
        async with self.db.session() as session:
            drains = drain and self.nomad is not None
            return _plan(await get_machine(session, name), wipe=wipe, drains=drains)

    async def retire(self, name: str, request: RetireRequest, *, by: str) -> MachineDetail:
        """Drains and revokes now; the wipe happens at its next network boot, and the machine is retired
        after it.
        """
        machine = await self.machines.get(name)
        if request.confirm != machine.name:
            raise Invalid(
                "retire.not_confirmed",
                f"The name that was typed is not {machine.name}.",
                "Type the name of the machine, to be sure that it is the right one.",
            )
        nomad = self.nomad if request.drain else None
        if nomad is not None and machine.state in MEMBERS:
            # Outside the transaction: Nomad may take its time.
            await nomad.drain(machine.name)
        async with self.db.transaction() as session:
            row = await get_machine(session, machine.id)
            plan = _plan(row, wipe=request.wipe, drains=nomad is not None)
            if request.plan not in (None, plan.digest):
                raise Conflict(
                    "retire.plan_changed",
                    "The plan has changed since you read it.",
                    "Read it again, then decide.",
                )
            if await Runs(session).open_of(row.id) is not None:
                raise Conflict(
                    "retire.run_open", f"A run on {row.name} has not ended.", "Cancel it or wait for its end."
                )
            await self.journal.move(session, row, MachineState.DRAINING, by=by, reason=request.reason)
            revoked = await self.enrolments.revoke_all(session, row, f"{RETIRED_BY}{by}")
            # The disks as they are known now: a report at the boot that wipes does not change them.
            disks = [disk.model_dump() for disk in Hardware.model_validate(row.hardware or {}).disks]
            row.wiping = {"by": by, "reason": request.reason, "disks": disks} if request.wipe else None
            row.host_key, row.host_key_from = None, ""
            await self.journal.audit(
                session, row, by, "retiring",
                revoked=revoked, wipe=request.wipe, drain=nomad is not None, reason=request.reason,
            )  # fmt: skip
            if not request.wipe:
                await self._finish(session, row, by, {"wiped": False})
        self.on_revoked()
        return await self.machines.get(machine.id)

    async def confirm_wipe(
        self, session: AsyncSession, machine: Machine, disks: Sequence[WipedDisk], call: SignedCall
    ) -> None:
        """Compares the disks that the deploy agent wiped with those recorded when the machine was retired.
        The verified `call` is recorded completely, so that its signature can be checked again.
        """
        if machine.state is not MachineState.DRAINING or machine.wiping is None:
            raise Conflict(
                "retire.not_wiping",
                f"{machine.name} is not to be wiped.",
                "Retire it first: `soundstage machines retire NAME`.",
            )
        facts = {
            "disks": [disk.model_dump() for disk in disks],
            "signed": {"agent_key": machine.agent_key, **call.model_dump()},
        }
        known = machine.wiping.get("disks")
        expected = Hardware.model_validate(
            {"disks": known} if known is not None else machine.hardware or {}
        ).disks
        if problem := _wipe_problem(expected, disks):
            await self.journal.audit(
                session, machine, "its deploy agent", "wipe_unverified", why=problem, **facts
            )
            await self.journal.move(
                session, machine, MachineState.WIPE_UNVERIFIED,
                by="its deploy agent", cause=f"The wipe cannot be relied upon: {problem}.",
                hint=f"Retire it again to repeat the wipe (`soundstage machines retire {machine.name}`), or "
                "destroy its disks and retire it with `--keep-disks`.",
            )  # fmt: skip
            return
        by = str(machine.wiping.get("by", ""))
        await self._finish(session, machine, by, {"wiped": True, "at": utcnow().isoformat(), **facts})

    async def _finish(self, session: AsyncSession, machine: Machine, by: str, facts: dict[str, Any]) -> None:
        """Moves it to RETIRED and frees its MAC addresses, since its network cards may appear in another
        machine.
        """
        machine.wiping, machine.agent_key = None, None
        keys = [key.agent_key for key in await Machines(session).keys_of(machine.id)]
        await Machines(session).drop_keys(machine.id, keys)
        macs = (await Machines(session).macs_of([machine.id]))[machine.id]
        await self.journal.move(session, machine, MachineState.RETIRED, by=by)
        await self.journal.audit(session, machine, by, "retired", macs=list(macs), uuid=machine.uuid, **facts)
        await Machines(session).drop_macs(macs)


def _plan(machine: Machine, *, wipe: bool, drains: bool) -> RetirePlan:
    hardware = Hardware.model_validate(machine.hardware or {})
    wipes = [
        f"{disk.name} ({disk.bytes / 1e9:.0f} GB, {disk.model or 'unknown model'})" for disk in hardware.disks
    ]
    steps = []
    if machine.state in MEMBERS and drains:
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


def _wipe_problem(expected: Sequence[Disk], disks: Sequence[WipedDisk]) -> str:
    """Returns why the wipe is not verified; empty when every known disk is among the wiped ones."""
    left = list(disks)
    for known in expected:
        wiped = next((disk for disk in left if _is_same_disk(known, disk)), None)
        if wiped is None:
            named = f"{known.name} ({known.model or 'unknown model'}, {known.serial or 'no serial number'})"
            return f"{named} was not wiped"
        left.remove(wiped)
        if wiped.bytes < known.bytes:
            return f"only {wiped.bytes} of {known.bytes} bytes of {known.name} were"
    for disk in disks:
        if disk.samples < MIN_SAMPLES:
            return f"only {disk.samples} places of {disk.name} were read"
        if disk.dirty:
            return f"{disk.dirty} of {disk.samples} places of {disk.name} still hold something"
    return "" if disks else "no disk was wiped"


def _is_same_disk(known: Disk, wiped: WipedDisk) -> bool:
    """Compares model and serial number, since kernel names change; without a serial number also the name."""
    if known.model != wiped.model or known.serial != wiped.serial:
        return False
    return usable_serial(known.serial) is not None or known.name == wiped.name
