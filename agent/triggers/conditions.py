"""Looks whether the events that triggers wait for have happened: videos here, machines, runs and jobs at
their servers, those at most once a minute for each person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from agent.tools.cluster.nomad import job_named, jobs_on, node_named
from agent.tools.machines.api import find_machine
from agent.tools.machines.runs import find_run
from agent.tools.services import ToolServices
from agent.triggers.models import Trigger
from agent.triggers.schemas import When
from policy import Principal
from soundstage.database.tenants import tenant_scope
from soundstage.errors import NotFound, SoundstageError
from studio.renders.states import TERMINAL, RenderState

LOOK_AGAIN = timedelta(seconds=60)
Answer = Literal["yes", "no", "never"]
FindPrincipal = Callable[[Trigger], Awaitable[Principal | None]]
"""Returns the owner with their present permissions; None for one without any."""


@dataclass
class Conditions:
    """`looked`: when each person's servers were asked last."""

    services: ToolServices
    find_principal: FindPrincipal
    clock: Callable[[], datetime]
    looked: dict[tuple[str, str], datetime] = field(default_factory=dict)

    async def check(self, rows: Iterable[Trigger]) -> list[tuple[str, Answer, str]]:
        """Returns the ids of triggers whose event has happened, or never will, with the reason."""
        found: list[tuple[str, Answer, str]] = []
        due: set[tuple[str, str]] = set()
        for row in rows:
            condition = When.model_validate(row.condition)
            if condition.of != "render":
                owner, now = (row.tenant, row.principal_id), self.clock()
                last = self.looked.get(owner)
                if owner not in due and last is not None and now - last < LOOK_AGAIN:
                    continue
                due.add(owner)
                self.looked[owner] = now
            answer, why = await self._answer(row, condition)
            if answer != "no":
                found.append((row.id, answer, why))
        return found

    async def _answer(self, row: Trigger, condition: When) -> tuple[Answer, str]:
        try:
            if condition.of == "render":
                return await self._render(row.tenant, condition)
            principal = await self.find_principal(row)
            if principal is None:
                return "never", "whoever set it has no key any more"
            with tenant_scope(row.tenant):
                return await self._elsewhere(principal, condition)
        except NotFound as error:
            return "never", error.message
        except SoundstageError:
            # The server does not answer: the next look may find more.
            return "no", ""

    async def _render(self, tenant: str, condition: When) -> tuple[Answer, str]:
        with tenant_scope(tenant):
            view = await self.services.studio.renders.get(condition.name)
        state = RenderState(view.state)
        if state not in TERMINAL:
            return "no", ""
        if condition.becomes in ("ended", state):
            return "yes", ""
        return "never", f"“{view.title}” is {state}"

    async def _elsewhere(self, principal: Principal, condition: When) -> tuple[Answer, str]:
        if condition.of == "job" or condition.becomes == "empty":
            async with self.services.cluster() as nomad:
                if condition.of == "job":
                    runs = str((await job_named(nomad, condition.name)).get("Status")) == "running"
                    return ("yes" if runs == (condition.becomes == "running") else "no"), ""
                node = await node_named(nomad, condition.name)
                return ("no" if await jobs_on(nomad, str(node["ID"])) else "yes"), ""
        async with self.services.machines(principal) as api:
            if condition.of == "machine":
                state = (await find_machine(api, condition.name)).state
                return ("yes" if state == condition.becomes else "no"), ""
            run = await find_run(api, condition.name)
        if not run.ended:
            return "no", ""
        result = "done" if run.state == "succeeded" else "failed"
        if condition.becomes in ("ended", result):
            return "yes", ""
        return "never", f"the run {run.id} is {run.state}"
