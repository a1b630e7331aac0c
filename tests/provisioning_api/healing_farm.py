"""A farm of values for tests of healing: nodes that are drained and restarted, and a process that can be
killed between any two of its effects. The database is real.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from ramdisk import new_host_key
from sqlalchemy import update

from provisioning_api.engines.node_facts import NodeFacts
from provisioning_api.healing.driver import HealingDriver
from provisioning_api.healing.journal import HealingJournal
from provisioning_api.healing.models import HealingCase
from provisioning_api.healing.reinstallation import Reinstallation
from provisioning_api.healing.repository import HealingCases
from provisioning_api.healing.spares import Spares
from provisioning_api.healing.states import OPEN, HealingState
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState
from provisioning_api.power.schemas import PowerAction, PowerDone
from soundstage.health import BY_CHECKS
from soundstage.settings.healing import HealingSettings

EXPIRED = timedelta(days=1)


class Killed(BaseException):
    """The process ends here, as by kill -9."""


@dataclass
class KillPoint:
    """Ends the process at its n-th boundary; None for never."""

    at: int | None = None
    seen: int = 0

    def pass_boundary(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise Killed


class KillableDatabase:
    """A database whose process may die before and after each commit."""

    def __init__(self, db: Any, kill: KillPoint) -> None:
        self._db, self._kill = db, kill

    def session(self) -> Any:
        return self._db.session()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self._db.transaction() as session:
            yield session
            self._kill.pass_boundary()
        self._kill.pass_boundary()


@dataclass
class FakeFarm:
    """`fixes`: what makes a failed node well again; its checks lift drains that have their mark."""

    services: Any
    settings: HealingSettings
    fixes: str = "cycle"
    kill: KillPoint = field(default_factory=KillPoint)
    facts: dict[str, NodeFacts] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    effects: list[str] = field(default_factory=list)
    bmc_error: Exception | None = None

    async def add(self, name: str, *tags: str, kind: tuple[str, ...] = ("default", "L4")) -> None:
        """Adds a ready machine with a node that works."""
        async with self.services.db.transaction() as session:
            machine = Machine(
                name=name, state=MachineState.READY, tags=list(tags), address="127.0.0.1",
                host_key=new_host_key(), acceptance=1, written=1,
            )  # fmt: skip
            await Machines(session).add(machine)
        self.facts[name] = NodeFacts(name, name, "ready", True, False, None, (), kind)

    def fail(self, name: str, **facts: Any) -> None:
        """Its golden frame fails, and its own checks drain it; or it fails as `facts` say."""
        self.failing.add(name)
        marks = {"eligible": False, "marks": {BY_CHECKS: "The golden frame is another one."}}
        self.facts[name] = replace(self.facts[name], **(facts or marks))

    def repair(self, name: str) -> None:
        self.failing.discard(name)
        self.facts[name] = replace(self.facts[name], status="ready", bad_cards=())

    async def nodes(self) -> dict[str, NodeFacts]:
        """The nodes, after their own checks have run."""
        for name, node in self.facts.items():
            if name not in self.failing and node.marks is not None and BY_CHECKS in node.marks:
                self.facts[name] = replace(node, eligible=True, marks=None)
        return dict(self.facts)

    async def drain(self, node: NodeFacts, marks: Mapping[str, str], deadline: timedelta) -> bool:
        if node.marks is not None and dict(node.marks) == dict(marks):
            return False
        self.kill.pass_boundary()
        self.effects.append(f"drain {node.name}")
        self.facts[node.name] = replace(node, eligible=False, marks=dict(marks))
        self.kill.pass_boundary()
        return True

    async def switch(self, name: str, *actions: PowerAction, by: str) -> PowerDone:
        self.kill.pass_boundary()
        if self.bmc_error is not None:
            raise self.bmc_error
        async with self.services.db.session() as session:
            machine = await Machines(session).find(name)
        assert machine is not None
        assert not self.facts[machine.name].eligible or machine.state is not MachineState.READY, "not drained"
        self.effects.append(f"{actions[-1]} {machine.name}")
        if PowerAction.BOOT_NETWORK in actions:
            await self._install(machine)
        elif self.fixes == "cycle":
            self.repair(machine.name)
        self.kill.pass_boundary()
        return PowerDone(machine=machine.name, kind="fake", actions=list(actions))

    async def _install(self, machine: Machine) -> None:
        """As the deploy agent and the run after it do it, within a blink."""
        async with self.services.db.transaction() as session:
            row = await Machines(session).find(machine.id)
            assert row is not None and row.guard_facts.may_be_written, "written twice"
            row.written, row.state = row.acceptance, MachineState.READY
        self.effects.append(f"install {machine.name}")
        if self.fixes == "install":
            self.repair(machine.name)

    def driver(self) -> HealingDriver:
        """A new process, with nothing but the database."""
        db: Any = KillableDatabase(self.services.db, self.kill)
        journal = HealingJournal(self.services.events)
        reinstallation = Reinstallation(
            db, journal, self.services.healing.reinstallation.machines, self.services.enrolments
        )
        return HealingDriver(
            db, journal, self, self, reinstallation, Spares(db, journal, self), self.settings, poll_s=0.0
        )

    async def work(self, until: Callable[[], Any], *, ages: bool = True, rounds: int = 60) -> int:
        """Works until `until` returns something true, in a new process after each death; returns how often it
        died. With `ages` each wait is over when it has been looked at.
        """
        driver, deaths = self.driver(), 0
        for _ in range(rounds):
            try:
                for case_id in await driver.due((), 8):
                    await driver.step(case_id)
            except Killed:
                driver, deaths = self.driver(), deaths + 1
            if await until():
                return deaths
            if ages:
                await self.age()
        cases = await self.services.healing.list_open()
        raise AssertionError(f"no end; effects: {self.effects}; cases: {cases}")

    async def look(self, times: int = 3) -> None:
        """Works for some rounds in which no time passes."""
        driver = self.driver()
        for _ in range(times):
            for case_id in await driver.due((), 8):
                await driver.step(case_id)

    async def age(self) -> None:
        """Lets a day pass for the waits of all cases, not for their budgets and reinstallations."""
        async with self.services.db.transaction() as session:
            for case in await HealingCases(session).list(OPEN - {HealingState.REINSTALLING}):
                await session.execute(
                    update(HealingCase)
                    .where(HealingCase.id == case.id)
                    .values(since=case.since - EXPIRED, created_at=case.created_at - EXPIRED)
                )

    async def case(self, name: str) -> Any:
        found = await self.services.healing.history(name, 1)
        return found[0] if found else None

    def reaches(self, name: str, state: str) -> Callable[[], Any]:
        async def is_there() -> bool:
            case = await self.case(name)
            return case is not None and case.state == state

        return is_there
