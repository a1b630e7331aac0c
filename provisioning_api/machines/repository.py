"""All SQL on machines."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, exists, func, or_, select

from provisioning_api.machines.models import HardwareReport, Machine, MachineKey, MachineMac
from provisioning_api.machines.states import MachineState
from soundstage.database.repository import Repository


class Machines(Repository[Machine]):
    async def add_with_macs(self, machine: Machine, macs: Collection[str]) -> Machine:
        await self.add(machine)
        await self.add_macs(machine.id, macs)
        return machine

    async def by_name(self, name: str) -> Machine | None:
        return await self._session.scalar(select(Machine).where(Machine.name == name))

    async def by_macs(self, macs: Collection[str]) -> Sequence[Machine]:
        """The machines that own any of these addresses."""
        # No DISTINCT over the machines themselves: PostgreSQL cannot compare JSON.
        owners = select(MachineMac.machine_id).where(MachineMac.mac.in_(macs))
        return await self._all(select(Machine).where(Machine.id.in_(owners)))

    async def by_uuid(self, uuid: str) -> Sequence[Machine]:
        return await self._all(select(Machine).where(Machine.uuid == uuid).order_by(Machine.id))

    async def by_host_key(self, line: str) -> Machine | None:
        return await self._session.scalar(select(Machine).where(Machine.host_key == line))

    async def count_waiting(self) -> int:
        """Returns how many machines wait for a decision."""
        return await self._count(select(func.count()).where(Machine.state == MachineState.DISCOVERED))

    async def waiting_since(self, before: datetime, limit: int) -> builtins.list[Machine]:
        """Returns machines in these states that were silent since `before`, the longest silent first.

        Without machines that a person has given a name or a BMC; one that called home named itself.
        """
        has_macs = exists().where(MachineMac.machine_id == Machine.id)
        query = (
            select(Machine)
            .where(
                Machine.state == MachineState.DISCOVERED,
                Machine.seen_at < before,
                Machine.power.is_(None),
                or_(Machine.name.startswith("machine-"), ~has_macs),
            )
            .order_by(Machine.seen_at, Machine.id)
            .limit(limit)
        )
        return builtins.list(await self._session.scalars(query))

    async def remove(self, machine_ids: Collection[str]) -> None:
        """With all that refers to them."""
        await self._session.execute(delete(Machine).where(Machine.id.in_(machine_ids)))

    async def list(self, states: Collection[MachineState] = (), pool: str | None = None) -> Sequence[Machine]:
        """By name."""
        query = select(Machine).order_by(Machine.name)
        if states:
            query = query.where(Machine.state.in_(states))
        if pool is not None:
            query = query.where(Machine.pool == pool)
        return await self._all(query)

    async def list_named(self, names: Collection[str]) -> Sequence[Machine]:
        query = select(Machine).where(Machine.name.in_(names)).order_by(Machine.name)
        return await self._all(query)

    async def macs_of(self, machine_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        """The addresses of each, sorted."""
        query = select(MachineMac).where(MachineMac.machine_id.in_(machine_ids)).order_by(MachineMac.mac)
        found: dict[str, list[str]] = {machine_id: [] for machine_id in machine_ids}
        for row in await self._session.scalars(query):
            found[row.machine_id].append(row.mac)
        return found

    async def all_macs(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for row in await self._session.scalars(select(MachineMac).order_by(MachineMac.mac)):
            found.setdefault(row.machine_id, []).append(row.mac)
        return found

    async def add_macs(self, machine_id: str, macs: Collection[str]) -> None:
        for mac in sorted(macs):
            self._session.add(MachineMac(mac=mac, machine_id=machine_id))
        await self._session.flush()

    async def drop_macs(self, macs: Collection[str]) -> None:
        await self._session.execute(delete(MachineMac).where(MachineMac.mac.in_(macs)))

    async def keys_of(self, machine_id: str) -> Sequence[MachineKey]:
        """Return the keys that reported as this machine, the first first."""
        query = select(MachineKey).where(MachineKey.machine_id == machine_id)
        return await self._all(query.order_by(MachineKey.first_at))

    async def all_keys(self) -> Mapping[str, Sequence[MachineKey]]:
        found: dict[str, list[MachineKey]] = {}
        for row in await self._session.scalars(select(MachineKey).order_by(MachineKey.first_at)):
            found.setdefault(row.machine_id, []).append(row)
        return found

    async def add_key(self, key: MachineKey) -> None:
        self._session.add(key)
        await self._session.flush()

    async def drop_keys(self, machine_id: str, agent_keys: Collection[str]) -> None:
        await self._session.execute(
            delete(MachineKey).where(
                MachineKey.machine_id == machine_id, MachineKey.agent_key.in_(agent_keys)
            )
        )

    async def add_report(self, report: HardwareReport) -> None:
        self._session.add(report)
        await self._session.flush()

    async def prune_reports(self, machine_id: str, keep: int) -> None:
        """Remove all hardware reports of a machine but the newest."""
        of_machine = HardwareReport.machine_id == machine_id
        oldest_retained = (
            select(HardwareReport.id)
            .where(of_machine)
            .order_by(HardwareReport.id.desc())
            .offset(keep - 1)
            .limit(1)
        )
        if (oldest := await self._session.scalar(oldest_retained)) is not None:
            await self._session.execute(delete(HardwareReport).where(of_machine, HardwareReport.id < oldest))

    async def reports(self, machine_id: str, limit: int) -> Sequence[HardwareReport]:
        """Newest first."""
        query = select(HardwareReport).where(HardwareReport.machine_id == machine_id)
        return await self._all(query.order_by(HardwareReport.id.desc()).limit(limit))
