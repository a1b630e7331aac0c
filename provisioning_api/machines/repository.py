"""All SQL on machines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.machines.models import HardwareReport, Machine, MachineMac
from provisioning_api.machines.states import MachineState


class Machines:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, machine: Machine, macs: Collection[str]) -> Machine:
        self._session.add(machine)
        await self._session.flush()
        await self.add_macs(machine.id, macs)
        return machine

    async def get(self, machine_id: str) -> Machine | None:
        return await self._session.get(Machine, machine_id)

    async def by_name(self, name: str) -> Machine | None:
        return await self._session.scalar(select(Machine).where(Machine.name == name))

    async def by_macs(self, macs: Collection[str]) -> Sequence[Machine]:
        """The machines that own any of these addresses."""
        # No DISTINCT over the machines themselves: PostgreSQL cannot compare JSON.
        owners = select(MachineMac.machine_id).where(MachineMac.mac.in_(macs))
        return (await self._session.scalars(select(Machine).where(Machine.id.in_(owners)))).all()

    async def by_uuid(self, uuid: str) -> Sequence[Machine]:
        return (
            await self._session.scalars(select(Machine).where(Machine.uuid == uuid).order_by(Machine.id))
        ).all()

    async def by_host_key(self, line: str) -> Machine | None:
        return await self._session.scalar(select(Machine).where(Machine.host_key == line))

    async def by_address(self, address: str) -> Sequence[Machine]:
        return (await self._session.scalars(select(Machine).where(Machine.address == address))).all()

    async def list(self, states: Collection[MachineState] = (), pool: str | None = None) -> Sequence[Machine]:
        """By name."""
        query = select(Machine).order_by(Machine.name)
        if states:
            query = query.where(Machine.state.in_(states))
        if pool is not None:
            query = query.where(Machine.pool == pool)
        return (await self._session.scalars(query)).all()

    async def named(self, names: Collection[str]) -> Sequence[Machine]:
        query = select(Machine).where(Machine.name.in_(names)).order_by(Machine.name)
        return (await self._session.scalars(query)).all()

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

    async def add_report(self, report: HardwareReport) -> None:
        self._session.add(report)
        await self._session.flush()

    async def reports(self, machine_id: str, limit: int) -> Sequence[HardwareReport]:
        """Newest first."""
        query = select(HardwareReport).where(HardwareReport.machine_id == machine_id)
        return (await self._session.scalars(query.order_by(HardwareReport.id.desc()).limit(limit))).all()
