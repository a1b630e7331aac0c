"""The form of what is done with a machine, and what several acts ask before; used by machines_acts and
machines_power.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from agent.tools.cluster.nomad import jobs_on, node_named
from agent.tools.plan import Plan
from agent.tools.record import ToolContext
from soundstage.errors import SoundstageError


class MachineRequest(Protocol):
    """The request of change_machine."""

    @property
    def action(self) -> str: ...

    @property
    def machine(self) -> str: ...

    @property
    def name(self) -> str | None: ...

    @property
    def code(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Acted:
    machine_id: str
    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class MachineAct:
    plan: Callable[[ToolContext, Any], Awaitable[Plan]]
    run: Callable[[ToolContext, Any], Awaitable[Acted]]


async def work_on(context: ToolContext, name: str, *, lasting: bool = False) -> list[str]:
    """Names of jobs there (`lasting`: of services alone); none where there is no farm, or where the farm does
    not know the machine.
    """
    try:
        async with context.services.cluster() as nomad:
            return await jobs_on(nomad, str((await node_named(nomad, name))["ID"]), lasting=lasting)
    except SoundstageError as error:
        if error.code in ("cluster.not_configured", "cluster.no_node"):
            return []
        raise
