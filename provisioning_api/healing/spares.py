"""Spare machines: in reserve until a machine of their kind fails, then at work in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from provisioning_api.engines.node_facts import RESERVED, NodeFacts, NodeObserver
from provisioning_api.healing.journal import HealingJournal
from provisioning_api.healing.models import HealingCase
from provisioning_api.healing.repository import HealingCases
from provisioning_api.healing.states import OPEN, HealingState
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState
from soundstage.database import Database
from soundstage.health import BY_CHECKS, BY_HEALING

TAG = "spare"
"""The tag of machines in the spare pool."""
BY = "spare pool"
# Long renders may end on it before it is in reserve again.
RETURN_DEADLINE = timedelta(hours=1)
_REPLACED = OPEN - {HealingState.WAITING}


@dataclass
class Spares:
    """Compares what should be with what is at each look: nothing is lost with a process."""

    db: Database
    journal: HealingJournal
    nodes: NodeObserver

    async def balance(self, nodes: Mapping[str, NodeFacts]) -> None:
        """Assigns spares to cases without one, and puts each spare to work or into reserve."""
        async with self.db.session() as session:
            ready = await Machines(session).list([MachineState.READY])
            cases = await HealingCases(session).list()
        failing = {case.machine_id for case in cases}
        spares = [one for one in ready if TAG in one.tags and one.id not in failing]
        in_use = await self._assign({one.id: one for one in ready}, spares, cases, nodes)
        for machine in ready:
            node = nodes.get(machine.name)
            if node is None or machine.id in failing:
                continue
            if machine in spares and machine.id not in in_use:
                if node.eligible:
                    await self.nodes.drain(node, {BY_HEALING: RESERVED}, RETURN_DEADLINE)
            elif node.reserved:
                # Its own checks let it work once they pass.
                marks = {
                    BY_HEALING: "in service",
                    BY_CHECKS: "taken into service from the spare pool",
                }
                await self.nodes.drain(node, marks, timedelta(0))

    async def _assign(
        self,
        ready: Mapping[str, Machine],
        spares: Sequence[Machine],
        cases: Sequence[HealingCase],
        nodes: Mapping[str, NodeFacts],
    ) -> set[str]:
        """Returns the ids of the spares that are in service."""
        fit = {spare.id for spare in spares}
        in_use = {case.spare_id for case in cases if case.spare_id in fit}
        for case in reversed(cases):
            failed = ready.get(case.machine_id)
            node = None if failed is None else nodes.get(failed.name)
            # A spare that has failed in its turn is replaced.
            if case.spare_id in fit or case.state not in _REPLACED or failed is None or node is None:
                continue
            if TAG in failed.tags:
                continue
            chosen = next((one for one in spares if one.id not in in_use and _fits(node, one, nodes)), None)
            if chosen is not None and await self._take(case.id, chosen):
                in_use.add(chosen.id)
        return {spare_id for spare_id in in_use if spare_id is not None}

    async def _take(self, case_id: str, spare: Machine) -> bool:
        async with self.db.transaction() as session:
            case = await HealingCases(session).find(case_id)
            machine = None if case is None else await Machines(session).find(case.machine_id)
            if case is None or machine is None or case.ended_at is not None:
                return False
            case.spare_id = spare.id
            case.reason = f"{case.reason} {spare.name} takes its place.".strip()
            await self.journal.emit(session, machine, case, before=case.state, by=BY)
            return True


def _fits(failed: NodeFacts, spare: Machine, nodes: Mapping[str, NodeFacts]) -> bool:
    node = nodes.get(spare.name)
    return node is not None and node.is_up and not node.bad_cards and node.kind == failed.kind
