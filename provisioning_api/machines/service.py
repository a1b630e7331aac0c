"""The verbs of machines; called by the routes, the rules and the other nouns of this room."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.machines.discovery import take_over_macs
from provisioning_api.machines.hardware import Hardware
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.keys import code_of
from provisioning_api.machines.models import Machine, MachineKey
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.schemas import (
    MachineChange,
    MachineDetail,
    MachineView,
    Naming,
    OtherKey,
    ReportView,
)
from provisioning_api.machines.states import MachineState
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, NotFound
from soundstage.views import read_view

NEXT = {
    MachineState.DISCOVERED: "Compare the code on its console, then accept it "
    "(`soundstage machines accept {name}{code}`), or reject it.",
    MachineState.ACCEPTED: "It is written and enrolled at its next network boot, or enrols with a token.",
    MachineState.DEPLOYING: "It writes its disk; then it enrols.",
    MachineState.ENROLLED: "It calls home at its first boot, and is configured then.",
    MachineState.CONFIGURING: "A run configures it: `soundstage runs list`.",
    MachineState.READY: "Nothing: it works.",
    MachineState.DRAINING: "It is wiped at its next network boot, then retired.",
    MachineState.WIPE_UNVERIFIED: "Repeat the wipe (`soundstage machines retire {name}`), or destroy its "
    "disks and say so (`--keep-disks`).",
    MachineState.RETIRED: "It is out of service; `soundstage machines accept {name}{code}` takes it back.",
    MachineState.FAILED: "Mend the cause, then start a run on it, or accept it anew to write it again.",
}


def view_of(machine: Machine, macs: Sequence[str], keys: Sequence[MachineKey]) -> MachineView:
    return read_view(MachineView, machine, **_fields(machine, macs, keys))


def detail_of(machine: Machine, macs: Sequence[str], keys: Sequence[MachineKey]) -> MachineDetail:
    return read_view(
        MachineDetail,
        machine,
        **_fields(machine, macs, keys),
        hardware=None if machine.hardware is None else Hardware.model_validate(machine.hardware),
        next=NEXT[machine.state].format(
            name=machine.name, code=f" --code {code_of(machine.agent_key)}" if machine.agent_key else ""
        ),
    )


def _fields(machine: Machine, macs: Sequence[str], keys: Sequence[MachineKey]) -> dict[str, object]:
    """Returns the fields of a view that are no attributes of the machine."""
    counting = next((key for key in keys if key.agent_key == machine.agent_key), None)
    source = None if counting is None else counting.source
    return {
        "macs": list(macs),
        "seen_macs": [] if machine.seen_macs in (None, list(macs)) else machine.seen_macs,
        "code": code_of(machine.agent_key),
        "code_source": source,
        "code_since": None if counting is None else counting.first_at,
        "conflicts": [
            OtherKey(
                code=code_of(key.agent_key),
                source=key.source,
                since=key.first_at,
                last_at=key.last_at,
                reports=key.reports,
                same_source=key.source == source,
            )
            for key in keys
            if key is not counting
        ],
        "may_be_written": machine.guard_facts.may_be_written,
        "power": None if machine.power is None else machine.power.get("kind"),
    }


class MachineService:
    def __init__(self, db: Database, journal: MachineJournal) -> None:
        self._db = db
        self._journal = journal

    async def list(self, states: Collection[MachineState] = (), pool: str | None = None) -> list[MachineView]:
        """By name."""
        async with self._db.session() as session:
            machines = Machines(session)
            found = await machines.list(states, pool)
            macs, keys = await machines.all_macs(), await machines.all_keys()
        return [view_of(one, macs.get(one.id, []), keys.get(one.id, [])) for one in found]

    async def get(self, name: str) -> MachineDetail:
        """One machine, by name or id."""
        async with self._db.session() as session:
            return await detail_in(session, await get_machine(session, name))

    async def reports(self, name: str, limit: int) -> Sequence[ReportView]:
        """Returns what its hardware was at each boot that found a difference, newest first."""
        async with self._db.session() as session:
            machine = await get_machine(session, name)
            found = await Machines(session).reports(machine.id, limit)
        return [ReportView.model_validate(report, from_attributes=True) for report in found]

    async def accept_in(self, session: AsyncSession, machine: Machine, naming: Naming, *, by: str) -> None:
        """A yes, in the caller's transaction: the machine may be written to once, and be enrolled."""
        if machine.uuid is not None:
            twins = [
                twin.name
                for twin in await Machines(session).by_uuid(machine.uuid)
                if twin.id != machine.id and twin.state is not MachineState.RETIRED
            ]
            if twins:
                raise Conflict(
                    "machine.uuid_shared",
                    f"{machine.name} has the same SMBIOS UUID as {', '.join(twins)}.",
                    "Give it a UUID of its own in its firmware, or retire the other one if this one took its "
                    "place.",
                )
        await self._change(session, machine, naming)
        await take_over_macs(session, machine)
        await self._journal.move(session, machine, MachineState.ACCEPTED, by=by)
        machine.acceptance += 1
        machine.accepted_by, machine.accepted_at = by, utcnow()
        await self._journal.audit(session, machine, by, "accepted", acceptance=machine.acceptance)

    async def change(self, name: str, change: MachineChange, *, by: str) -> MachineDetail:
        """Names, tags, pool and address; what is left out stays."""
        async with self._db.transaction() as session:
            machine = await get_machine(session, name)
            await self._change(session, machine, change)
            machine.address = change.address or machine.address
            machine.ssh_port = change.ssh_port or machine.ssh_port
            changed = change.model_dump(exclude_none=True)
            await self._journal.audit(session, machine, by, "changed", **changed)
            await self._journal.emit(session, machine, "changed", fields=sorted(changed))
            return await detail_in(session, machine)

    async def reject(self, name: str, *, by: str) -> MachineDetail:
        """A no to a discovered machine; it stays known, and is offered no more."""
        async with self._db.transaction() as session:
            machine = await get_machine(session, name)
            if machine.state is MachineState.ACCEPTED:
                await self._journal.move(session, machine, MachineState.DISCOVERED, by=by)
            else:
                await self._journal.move(session, machine, MachineState.RETIRED, by=by)
            await self._journal.audit(session, machine, by, "rejected")
            return await detail_in(session, machine)

    async def _change(self, session: AsyncSession, machine: Machine, change: Naming) -> None:
        if change.name is not None and change.name != machine.name:
            if await Machines(session).by_name(change.name) is not None:
                raise Conflict(
                    "machine.name_taken",
                    f"Another machine is called {change.name}.",
                    "Choose another name.",
                    field="name",
                )
            machine.name = change.name
        if change.pool is not None:
            machine.pool = change.pool
        if change.tags is not None:
            machine.tags = sorted(set(change.tags))


async def detail_in(session: AsyncSession, machine: Machine) -> MachineDetail:
    """Return all that is known of a machine, read in the caller's transaction."""
    machines = Machines(session)
    macs = await machines.macs_of([machine.id])
    return detail_of(machine, macs[machine.id], await machines.keys_of(machine.id))


async def get_machine(session: AsyncSession, name: str) -> Machine:
    """Returns a machine by name or id; raises NotFound. No name has an underscore, and every id has."""
    machines = Machines(session)
    machine = await (machines.find(name) if "_" in name else machines.by_name(name))
    if machine is None:
        raise NotFound(
            "machine.not_found", f"There is no machine {name!r}.", "List them: `soundstage machines list`."
        )
    return machine
