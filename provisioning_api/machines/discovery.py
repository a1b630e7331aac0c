"""Finds out which machine speaks: known, changed, new, or one that only says so."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.machines.hardware import Hardware, differences
from provisioning_api.machines.identity import usable_serial, usable_uuid
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.keys import code_of, note_key
from provisioning_api.machines.models import HardwareReport, Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.schemas import Discovery, Identity
from provisioning_api.machines.states import MachineState
from soundstage.database import utcnow
from soundstage.errors import Conflict


@dataclass(frozen=True, slots=True)
class DiscoveryResult:
    """A machine that reported, and whether it is new to us. `conflict`: the key that reported does not count
    for it, so that nothing it said was taken up.
    """

    machine: Machine
    new: bool
    conflict: bool = False


async def find_machine(session: AsyncSession, identity: Identity) -> Machine | None:
    """Returns the machine with this identity; None when it is new.

    Raises `machine.macs_of_several` and `machine.identity_conflict`: what is doubtful is never half-trusted.
    """
    by_mac = await Machines(session).by_macs(identity.macs)
    if len(by_mac) > 1:
        raise Conflict(
            "machine.macs_of_several",
            f"These MAC addresses belong to several machines: {', '.join(one.name for one in by_mac)}.",
            "If a card was moved from one to the other, retire the machine that lost it first.",
        )
    if not by_mac:
        return None
    machine = by_mac[0]
    ours, theirs = usable_uuid(machine.uuid), usable_uuid(identity.uuid)
    if ours and theirs and ours != theirs:
        raise _identity_conflict(machine.name, "another SMBIOS UUID than before")
    return machine


def check_board(machine: Machine, report: Discovery) -> None:
    """Raises `machine.identity_conflict` unless more than a MAC address identifies this machine.

    A network card may have moved into another machine, whose disks would then be written or wiped. SMBIOS
    UUID or serial number identify the board; for a board without either, exactly the same disks do.
    """
    uuid = usable_uuid(machine.uuid)
    if uuid and uuid == usable_uuid(report.uuid):
        return
    known = Hardware.model_validate(machine.hardware or {})
    serial = usable_serial(known.serial)
    if serial and serial == report.hardware.serial:
        return
    disks = disk_identities(known)
    if not uuid and not serial and disks and disks == disk_identities(report.hardware):
        return
    raise _identity_conflict(machine.name, "neither its SMBIOS UUID, its serial number nor its disks")


def _identity_conflict(name: str, what: str) -> Conflict:
    return Conflict(
        "machine.identity_conflict",
        f"What calls itself {name} has {what}.",
        "If its board was changed, retire the old machine and accept this one anew; if not, somebody "
        "pretends.",
    )


def disk_identities(hardware: Hardware) -> frozenset[tuple[str, str]]:
    """Model and serial number of each disk; nothing when one has no serial number, or two share theirs."""
    found = frozenset((disk.model, disk.serial) for disk in hardware.disks if usable_serial(disk.serial))
    return found if len(found) == len(hardware.disks) else frozenset()


async def take_over_macs(session: AsyncSession, machine: Machine) -> None:
    """The machine's addresses become those that it reported last."""
    machines = Machines(session)
    known, seen = set((await machines.macs_of([machine.id]))[machine.id]), set(machine.seen_macs or ())
    if seen and seen != known:
        await machines.drop_macs(known - seen)
        await machines.add_macs(machine.id, seen - known)


class Discoverer:
    """Takes the reports of ramdisks. Nothing that it does gives a machine any right."""

    def __init__(self, journal: MachineJournal) -> None:
        self._journal = journal

    async def record(
        self, session: AsyncSession, report: Discovery, agent_key: str, source: str | None
    ) -> DiscoveryResult:
        """Make the machine, or bring what is known of it up to date; `agent_key` has signed the report.

        Of a report with another key than the one that counts only the key is noted, for a person to decide.
        """
        machine = await find_machine(session, report)
        if machine is None:
            machine = await self._make(session, report, agent_key)
            await note_key(session, machine, agent_key, source)
            await self._note_hardware(session, machine, report.hardware)
            return DiscoveryResult(machine, new=True)
        if agent_key != machine.agent_key:
            await self._note_conflict(session, machine, report, agent_key, source)
            return DiscoveryResult(machine, new=False, conflict=True)
        await note_key(session, machine, agent_key, source)
        await self._update(session, machine, report)
        await self._note_hardware(session, machine, report.hardware)
        return DiscoveryResult(machine, new=False)

    async def _note_conflict(
        self, session: AsyncSession, machine: Machine, report: Discovery, agent_key: str, source: str | None
    ) -> None:
        # A discovered one is not accepted yet: no write of its disks can be pending.
        if machine.state is not MachineState.DISCOVERED:
            check_board(machine, report)
        first = not [
            key for key in await Machines(session).keys_of(machine.id) if key.agent_key != machine.agent_key
        ]
        await note_key(session, machine, agent_key, source)
        if first:
            # Once, however many keys follow: what they are stands on the machine.
            code = code_of(agent_key)
            await self._journal.emit(session, machine, "key_conflict", code=code, source=source)

    async def _make(self, session: AsyncSession, report: Discovery, agent_key: str) -> Machine:
        machines = Machines(session)
        uuid = usable_uuid(report.uuid)
        twins = [twin.name for twin in await machines.by_uuid(uuid)] if uuid else []
        machine = Machine(
            name=await self._free_name(machines, min(report.macs)),
            uuid=uuid,
            state=MachineState.DISCOVERED,
            address=report.address,
            agent_key=agent_key,
            seen_macs=sorted(report.macs),
        )
        await machines.add_with_macs(machine, report.macs)
        await self._journal.emit(session, machine, "discovered", macs=sorted(report.macs))
        if twins:
            await self._journal.emit(session, machine, "uuid_shared", others=twins)
        return machine

    async def _update(self, session: AsyncSession, machine: Machine, report: Discovery) -> None:
        machine.seen_at = utcnow()
        macs = Machines(session)
        known = set((await macs.macs_of([machine.id]))[machine.id])
        if known != report.macs and machine.seen_macs != sorted(report.macs):
            gone, came = sorted(known - report.macs), sorted(report.macs - known)
            await self._journal.emit(session, machine, "nic_changed", gone=gone, came=came)
        machine.seen_macs = sorted(report.macs)
        if machine.state is MachineState.DISCOVERED:
            # It is not accepted yet. Later only a new acceptance takes these over.
            machine.uuid = machine.uuid or usable_uuid(report.uuid)
            machine.address = report.address or machine.address
            await take_over_macs(session, machine)

    async def _note_hardware(self, session: AsyncSession, machine: Machine, hardware: Hardware) -> None:
        digest = hardware.digest()
        if digest == machine.hardware_sha256:
            return
        before = Hardware.model_validate(machine.hardware) if machine.hardware is not None else None
        changes = [change.model_dump() for change in differences(before, hardware)] if before else []
        machine.hardware, machine.hardware_sha256 = hardware.model_dump(mode="json"), digest
        await Machines(session).add_report(
            HardwareReport(machine_id=machine.id, sha256=digest, hardware=machine.hardware, changes=changes)
        )
        if changes:
            paths = [change["path"] for change in changes]
            await self._journal.emit(session, machine, "hardware_changed", paths=paths[:50], count=len(paths))

    async def _free_name(self, machines: Machines, mac: str) -> str:
        name = f"machine-{mac.replace(':', '')}"
        return name if await machines.by_name(name) is None else f"{name}-{utcnow():%Y%m%d%H%M%S}"
