"""Tools that list machines and let them join, work, rest and leave."""

from __future__ import annotations

import asyncio
from datetime import datetime

from pydantic import BaseModel, Field

from agent.presentation import Blocks, StateLabel, page, table
from agent.presentation.blocks import MAX_ROWS
from agent.presentation.text import duration
from agent.tools.machines.actions import ACTS, ChangeMachine, MachineChanged, plan_act
from agent.tools.machines.api import (
    Machine,
    MachinesClient,
    Run,
    Span,
    Timeline,
    all_machines,
    get_machine,
    parse_answer,
)
from agent.tools.machines.text import (
    MachineState,
    count_by_state,
    hardware_text,
    longest_spans,
    remark,
    since,
    why_it_waits,
)
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from soundstage.errors import SoundstageError

_AT_ONCE = 8


class ListMachines(ToolRequest):
    machine: str | None = Field(
        default=None, max_length=80, description="One machine by name, or “new” for the one that waits."
    )
    state: MachineState | None = Field(default=None, description="Only those in this state.")


class MachineLine(BaseModel, frozen=True):
    """One machine. Of the one that was asked for: `story` says in sentences why it waits, `spans` what took
    longest on its way, `seconds` how long all took.
    """

    name: str
    state: str
    hardware: str
    address: str | None
    seen_at: datetime
    remark: str
    story: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    seconds: float = 0.0


class MachineLines(ToolResult):
    machines: tuple[MachineLine, ...]
    summary: str

    def presentation(self) -> Blocks:
        if len(self.machines) == 1 and self.machines[0].story:
            return _one_machine(self.machines[0])
        rows = (
            (one.name, StateLabel(state=one.state), one.hardware, one.address or "", one.remark)
            for one in self.machines
        )
        heads = ("Name", "State", "Hardware", "Address", "Remark")
        return page(self.summary, table("Machines", heads, rows))


@tool(Act("read", "machine:read"))
async def list_machines(context: ToolContext, request: ListMachines) -> MachineLines:
    """List the machines with state and hardware, or show one with its time line and why it waits."""
    async with context.services.machines(context.principal) as api:
        if request.machine is not None:
            machine = await get_machine(api, request.machine)
            return MachineLines(machines=(await _whole(context, api, machine),), summary="1 machine")
        machines = await all_machines(api, *([request.state] if request.state else []))
        if not machines:
            what = f"No machine is {request.state}." if request.state else "There are no machines yet."
            return MachineLines(machines=(), summary=f"{what} One shows up when it starts from the network.")
        shown = await _with_hardware(api, machines[:MAX_ROWS])
        lines = tuple(_line(machine) for machine in [*shown, *machines[MAX_ROWS:]])
        return MachineLines(machines=lines, summary=f"{count_by_state(machines)}.")


@tool(
    {
        "accept": Act(
            "write",
            "machine:accept",
            approvers=1,
            because="the machine joins the farm and its disk is written",
        ),
        "choose_key": Act(
            "write",
            "machine:accept",
            approvers=1,
            because="who holds that key gets the identity of the machine",
        ),
        "reinstall": Act(
            "destructive", "machine:accept", approvers=2, because="everything on its disks is lost"
        ),
        "drain": Act("write", "machine:drain", approvers=1, because="what runs on the machine has to move"),
        "undrain": Act("write", "machine:drain"),
        "switch_on": Act("write", "machine:power"),
        "switch_off": Act(
            "destructive", "machine:power", approvers=1, because="what runs on the machine stops"
        ),
        "retire": Act(
            "destructive",
            "machine:retire",
            approvers=2,
            because="the machine leaves the farm for good and its disks are wiped",
        ),
    },
    undo="undrain takes a drain back; switch_on and switch_off take each other back; an accepted machine "
    "can be rejected until its disk is written; what is reinstalled or retired has lost its disks",
    plan=plan_act,
)
async def change_machine(context: ToolContext, request: ChangeMachine) -> MachineChanged:
    """Let a machine join, choose its key, write it anew, drain it, switch it on or off, or retire it."""
    return await ACTS[request.action].run(context, request)


async def _with_hardware(api: MachinesClient, machines: list[Machine]) -> list[Machine]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def detail(machine: Machine) -> Machine:
        async with slots:
            return parse_answer(Machine, await api.get(f"/api/machines/{machine.id}"))

    return await asyncio.gather(*map(detail, machines))


def _one_machine(machine: MachineLine) -> Blocks:
    rows = (("*" if span.critical else "", duration(span.seconds), span.name) for span in machine.spans)
    way = f"Its time line ({duration(machine.seconds)}; * was waited for):" if machine.spans else ""
    return page(*machine.story, way, table("Time line", ("Waited for", "Took", "Step"), rows))


async def _whole(context: ToolContext, api: MachinesClient, machine: Machine) -> MachineLine:
    runs = parse_answer(list[Run], await api.get("/api/runs", state=["queued", "running"]))
    here = [run for run in runs if machine.name in {one.name for one in run.machines}]
    timeline = parse_answer(Timeline, await api.get(f"/api/machines/{machine.id}/timeline"))
    node = await _node(context, machine) if machine.state == "ready" else ""
    facts = [machine.address or "", f"pool {machine.pool}", *machine.tags, since(machine)]
    hardware = hardware_text(machine.hardware)
    story = (
        f"{machine.name} is {machine.state} ({', '.join(fact for fact in facts if fact)}).",
        why_it_waits(machine, here, node),
        *([f"It has {hardware}."] if hardware else []),
    )
    spans = longest_spans(timeline)
    return _line(machine).model_copy(update={"story": story, "spans": spans, "seconds": timeline.seconds})


async def _node(context: ToolContext, machine: Machine) -> str:
    """Returns what the farm reports of a ready machine; empty where no farm answers."""
    try:
        async with context.services.cluster() as nomad:
            nodes, _ = await nomad.nodes()
    except SoundstageError:
        # The question was about the machine; `cluster_status` tells what is wrong with the farm.
        return ""
    found = [node for node in nodes if node.get("Name") == machine.name and node.get("Status") != "down"]
    if not found:
        return "It is ready, and the farm does not see it: its Nomad client may be down."
    if found[0].get("Drain") or found[0].get("SchedulingEligibility") != "eligible":
        return f"It is ready and takes no work: “let {machine.name} work again” changes that."
    return ""


def _line(machine: Machine) -> MachineLine:
    return MachineLine(
        name=machine.name,
        state=machine.state,
        hardware=hardware_text(machine.hardware),
        address=machine.address,
        seen_at=machine.seen_at,
        remark=remark(machine),
    )
