"""All SQL on runs and failures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select, update

from provisioning_api.runs.models import Failure, Run, RunMachine
from provisioning_api.runs.states import OPEN, TERMINAL, RunState
from soundstage.database import utcnow
from soundstage.database.repository import Repository
from soundstage.paging import Order, Page, PageRequest, select_page

NEWEST_FIRST = Order(Run.id)


class Runs(Repository[Run]):
    async def add_with_machines(self, run: Run, machines: Collection[tuple[str, str]]) -> None:
        """`machines`: ids and names."""
        await self.add(run)
        for machine_id, name in machines:
            self._session.add(RunMachine(run_id=run.id, machine_id=machine_id, name=name))
        await self._session.flush()

    async def page(self, states: Collection[RunState], request: PageRequest) -> Page[Run]:
        """Newest first."""
        where = [Run.state.in_(states)] if states else []
        scope = {"states": sorted(states)}
        return await select_page(self._session, Run, NEWEST_FIRST, request, where=where, scope=scope)

    async def in_state(self, state: RunState) -> Sequence[Run]:
        """The oldest first."""
        return await self._all(select(Run).where(Run.state == state).order_by(Run.id))

    async def machines_of(self, run_ids: Collection[str]) -> Mapping[str, Sequence[RunMachine]]:
        found: dict[str, list[RunMachine]] = {run_id: [] for run_id in run_ids}
        query = select(RunMachine).where(RunMachine.run_id.in_(run_ids)).order_by(RunMachine.name)
        for row in await self._session.scalars(query):
            found[row.run_id].append(row)
        return found

    async def open_of(self, machine_id: str) -> Run | None:
        """The newest run that is queued or running on a machine."""
        query = (
            select(Run)
            .join(RunMachine, RunMachine.run_id == Run.id)
            .where(RunMachine.machine_id == machine_id, Run.state.in_(OPEN))
            .order_by(Run.id.desc())
        )
        return await self._session.scalar(query.limit(1))

    async def last_of(self, machine_id: str) -> Run | None:
        query = select(Run).join(RunMachine, RunMachine.run_id == Run.id)
        query = query.where(RunMachine.machine_id == machine_id).order_by(Run.id.desc())
        return await self._session.scalar(query.limit(1))

    async def list_ended(self) -> Sequence[str]:
        """Ids, the newest first."""
        query = select(Run.id).where(Run.state.in_(TERMINAL)).order_by(Run.id.desc())
        return await self._all(query)


class Failures(Repository[Failure]):
    async def list(self, *, solved: bool | None, limit: int) -> Sequence[Failure]:
        """Newest first."""
        query = select(Failure).order_by(Failure.id.desc()).limit(limit)
        if solved is not None:
            query = query.where(Failure.solved_at.is_not(None) if solved else Failure.solved_at.is_(None))
        return await self._all(query)

    async def list_unreported(self) -> Sequence[Failure]:
        """Returns failures that are not in TODO.md yet, the oldest first."""
        query = select(Failure).where(Failure.reported.is_(False)).order_by(Failure.id)
        return await self._all(query)

    async def solve(self, machine_ids: Collection[str]) -> None:
        """A run succeeded on these machines: what failed there before is history."""
        query = update(Failure).where(Failure.machine_id.in_(machine_ids), Failure.solved_at.is_(None))
        await self._session.execute(query.values(solved_at=utcnow()))
