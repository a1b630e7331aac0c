"""A farm whose machines can be wiped: tools that wait for people, behind real wrappers and databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from table_templates import CreateTables

from agent.approvals.decisions import ApprovalDecisions
from agent.approvals.errors import ApprovalRequired
from agent.approvals.models import Approval
from agent.approvals.schemas import ApprovalOut
from agent.approvals.service import ApprovalService
from agent.approvals.states import ApprovalState
from agent.presentation import Blocks, page
from agent.tools import ToolContext, ToolResult, Toolset, tool
from agent.tools.plan import Change, Plan
from agent.tools.record import Act, ToolRequest
from agent.tools.toolset import prepare_call
from agent.tools.wrappers import WrapperServices, standard_toolset
from app.tables import all_tables
from policy import Principal
from policy.audit import AuditLog
from policy.audit.head import HeadFile
from policy.decisions import Decider
from policy.decisions.bundle import Bundle, load_bundle
from policy.decisions.embedded import EmbeddedEngine
from soundstage.database import Database
from soundstage.errors import SoundstageError
from soundstage.events import EventStore
from soundstage.paging import PageRequest

ADA = Principal("key_ada", "Ada", "operator", "session")
BOB = Principal("key_bob", "Bob", "operator", "session")
VIEWER = Principal("key_eve", "Eve", "viewer", "session")


async def approvals_of(approvals: ApprovalService, principal: Principal) -> list[ApprovalOut]:
    """Returns the approvals of a principal's tenant, the newest first."""
    return (await approvals.find_page(principal, (), PageRequest(100))).items


class Wipe(ToolRequest):
    machine: str


class Rotate(Wipe):
    password: str


class Wiped(ToolResult):
    machine: str

    def presentation(self) -> Blocks:
        return page(f"{self.machine} is empty.")


@dataclass
class Farm:
    """What the tools touch."""

    wiped: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    disks: int = 2
    broken: bool = False
    gate: asyncio.Event | None = None


@dataclass
class Stage:
    """Everything around the tools, and short ways to use it."""

    farm: Farm
    db: Database
    approvals: ApprovalService
    audit: AuditLog
    events: EventStore
    toolset: Toolset
    decisions: ApprovalDecisions

    async def call(self, name: str, who: Principal = ADA, session: str = "ses_1", **arguments: Any) -> Any:
        context = ToolContext(principal=who, session_id=session, services=cast("Any", None))
        return await self.toolset.run(context, prepare_call(self.toolset, name, arguments))

    async def ask(self, name: str = "wipe", **arguments: Any) -> str:
        """Calls a tool that has to wait; gives the id of the approval."""
        with pytest.raises(ApprovalRequired) as waits:
            await self.call(name, **(arguments or {"machine": "node-7"}))
        return waits.value.approval_id

    async def until(self, kind: str) -> None:
        """Until that has been told of some approval."""
        async with asyncio.timeout(60), aclosing(self.events.follow("approvals")) as events:
            async for event in events:
                if event.kind == kind:
                    return

    async def state(self, approval_id: str) -> ApprovalState:
        return (await self.approvals.get(approval_id, ADA)).state


def rules() -> Bundle:
    effects = {"permission": "machine:retire", "effect": "destructive"}
    own = {
        "wipe": effects,
        "rotate": effects,
        "wipe_all": {**effects, "approvers": 2, "because": "the whole farm is emptied"},
    }
    roles = dict(load_bundle().data["roles"])
    roles["operator"] = {**roles["operator"], "grants": [*roles["operator"]["grants"], "machine:retire"]}
    return Bundle.of(load_bundle().modules, {**load_bundle().data, "tools": own, "roles": roles})


@cache
def _engine() -> EmbeddedEngine:
    return EmbeddedEngine(rules())


@asynccontextmanager
async def staged(
    database_url: str,
    folder: Path,
    farm: Farm | None = None,
    create_tables: CreateTables = Database.create_tables,
) -> AsyncIterator[Stage]:
    """A stage of its own on this database and audit chain; a second one with them is a second process."""
    farm = farm or Farm()

    async def plan(context: ToolContext, request: Wipe) -> Plan:
        change = Change(what=f"{farm.disks} disks are emptied", where=request.machine)
        return Plan(changes=(change,), seconds=300)

    async def run(request: Wipe) -> Wiped:
        if farm.gate is not None:
            await farm.gate.wait()
        if farm.broken:
            raise SoundstageError("farm.gone", "The machine does not answer.")
        farm.wiped.append(request.machine)
        return Wiped(machine=request.machine)

    @tool(Act(effect="destructive", permission="machine:retire"), undo="nothing does", plan=plan)
    async def wipe(context: ToolContext, request: Wipe) -> Wiped:
        """Empty a machine."""
        return await run(request)

    @tool(Act(effect="destructive", permission="machine:retire"), undo="nothing does", plan=plan)
    async def wipe_all(context: ToolContext, request: Wipe) -> Wiped:
        """Empty all machines."""
        return await run(request)

    @tool(Act(effect="destructive", permission="machine:retire"), undo="nothing does")
    async def rotate(context: ToolContext, request: Rotate) -> Wiped:
        """Set another password."""
        farm.passwords.append(request.password)
        return Wiped(machine=f"https://admin:{request.password}@{request.machine}")

    async def known(row: Approval) -> Principal | None:
        return {one.id: one for one in (ADA, BOB)}.get(row.requester_id)

    all_tables()
    db = Database(database_url)
    await create_tables(db)
    events = EventStore(db)
    audit = AuditLog(db, HeadFile(folder))
    decider = Decider(_engine())
    approvals = ApprovalService(db, events, audit)
    toolset = standard_toolset(
        [wipe, wipe_all, rotate], WrapperServices(db, events, decider, audit, approvals)
    )
    decisions = ApprovalDecisions(approvals, decider, toolset, cast("Any", None), known)
    yield Stage(farm, db, approvals, audit, events, toolset, decisions)
    await decisions.worker.close()
    await db.close()
