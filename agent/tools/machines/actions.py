"""Plans and does what can be done with a machine; people agree to the plan. Called by
the tool change_machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, Field

from agent.presentation import Blocks, page
from agent.presentation.text import join_names
from agent.tools.cluster.nomad import jobs_on, node_named, takes_work
from agent.tools.machines.api import Machine, MachinesClient, Timeline, get_machine, parse_answer
from agent.tools.machines.text import disks_of, introduction, other_key
from agent.tools.plan import Plan, change
from agent.tools.record import ToolContext, ToolRequest, ToolResult
from soundstage.errors import Conflict, Invalid, SoundstageError
from soundstage.tracing import trace_id

DRAIN_DEADLINE = timedelta(hours=1)
_ACCEPTABLE = ("discovered", "retired")
_REINSTALLABLE = ("enrolled", "ready", "failed")
_AT_NEXT_START: Mapping[str, str] = MappingProxyType(
    {
        "accepted": "Its disk is written when it starts from the network, as was agreed",
        "draining": "Its disks are wiped when it starts from the network, as was agreed",
    }
)
_CUT_OFF: Mapping[str, str] = MappingProxyType(
    {
        "deploying": "Its disk is being written: that stops, and begins anew at its next start",
        "configuring": "A run of Ansible is at work there: it fails",
        "draining": "Its disks are not wiped before it is switched on again",
    }
)
"""By the state of a machine, what a power cut interrupts."""


class ChangeMachine(ToolRequest):
    action: Literal[
        "accept", "choose_key", "reinstall", "drain", "undrain", "switch_on", "switch_off", "retire"
    ] = Field(
        description="accept: let it join; choose_key: of the keys that report as it, the one with `code` "
        "counts; reinstall: write it anew; drain: move its work away; undrain: let it work again; switch_on, "
        "switch_off: its power; retire: out of service for good."
    )
    machine: str = Field(
        min_length=1, max_length=80, description="Its name, or “new” for the one that waits for a yes."
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="With accept: what it is called from now on; a-z, 0-9 and hyphens inside.",
    )
    code: str | None = Field(
        default=None,
        max_length=20,
        description="With accept and choose_key: the code on its console, like 2c91-a110-1679.",
    )


class MachineChanged(ToolResult):
    machine_id: str
    name: str
    done: str

    def presentation(self) -> Blocks:
        return page(self.done)


@dataclass(frozen=True, slots=True)
class MachineAct:
    plan: Callable[[ToolContext, Any], Awaitable[Plan]]
    run: Callable[[ToolContext, Any], Awaitable[MachineChanged]]


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


async def plan_act(context: ToolContext, request: ChangeMachine) -> Plan:
    """Plans an action: which machine, what is lost, how long. Raises as the action would."""
    return await ACTS[request.action].plan(context, request)


async def _plan_accept(context: ToolContext, request: ChangeMachine) -> Plan:
    async with context.services.machines(context.principal) as api:
        machine = await _acceptable(api, request)
    called = f", and is called {request.name}" if request.name else ""
    changes = [change(f"It joins the farm{called}", introduction(machine))]
    changes += [
        change("Another key reports as it and does not count", other_key(one)) for one in machine.conflicts
    ]
    disks = ", ".join(disks_of(machine.hardware)) or "its disk"
    changes.append(change("What is on its disk is lost when it is written", disks, deletes=True))
    return Plan(changes=tuple(changes))


async def _accept(context: ToolContext, request: ChangeMachine) -> MachineChanged:
    async with context.services.machines(context.principal) as api:
        machine = await _acceptable(api, request)
        # The code of the plan that was agreed to, unless it was said: the API refuses it when it has changed.
        code = request.code or machine.code
        body = {key: value for key, value in (("name", request.name), ("code", code)) if value}
        done = parse_answer(Machine, await api.post(f"/api/machines/{machine.id}/accept", body))
    start = "It joins by itself if it waits in its ramdisk; else start it from the network."
    return MachineChanged(machine_id=done.id, name=done.name, done=f"{done.name} is accepted. {start}")


async def _plan_choose_key(context: ToolContext, request: ChangeMachine) -> Plan:
    async with context.services.machines(context.principal) as api:
        machine = await get_machine(api, request.machine)
    code = _required_code(request)
    changes = [change(f"The key {code} counts for it from now on, and no other", introduction(machine))]
    changes += [change("Reports as it", other_key(one)) for one in machine.conflicts]
    return Plan(changes=tuple(changes), seconds=0)


async def _choose_key(context: ToolContext, request: ChangeMachine) -> MachineChanged:
    async with context.services.machines(context.principal) as api:
        machine = await get_machine(api, request.machine)
        body = {"code": _required_code(request)}
        done = parse_answer(Machine, await api.post(f"/api/machines/{machine.id}/key", body))
    return MachineChanged(
        machine_id=done.id, name=done.name, done=f"The key {done.code} counts for {done.name}."
    )


def _required_code(request: ChangeMachine) -> str:
    if request.code is None:
        raise Invalid(
            "machine.code_missing", "No code was said.", "Read it from the machine's console: 2c91-a110-1679."
        )
    return request.code


async def _acceptable(api: MachinesClient, request: ChangeMachine) -> Machine:
    machine = await get_machine(api, request.machine)
    if machine.state not in _ACCEPTABLE:
        raise Conflict(
            "machine.not_waiting",
            f"{machine.name} is {machine.state}: it waits for no yes.",
            f"“Reinstall {machine.name}” writes it anew."
            if machine.state in _REINSTALLABLE
            else f"“Why is {machine.name} waiting?” tells more.",
        )
    return machine


async def _plan_reinstall(context: ToolContext, request: ChangeMachine) -> Plan:
    async with context.services.machines(context.principal) as api:
        machine = await _reinstallable(context, api, request)
        timeline = parse_answer(Timeline, await api.get(f"/api/machines/{machine.id}/timeline"))
    disks = ", ".join(disks_of(machine.hardware)) or "all its disks"
    start = "It is started from the network now" if machine.power else "Somebody starts it from the network"
    changes = (
        change(
            "Everything on its disks is lost",
            introduction(machine) if machine.hardware else disks,
            deletes=True,
        ),
        change(start, machine.name),
        change("It is written, enrolled and configured anew", machine.name),
    )
    # What it took the last time, without the wait for a person.
    took = sum(span.seconds for span in timeline.spans if span.critical and span.source != "operator")
    return Plan(changes=changes, seconds=took or None)


async def _reinstall(context: ToolContext, request: ChangeMachine) -> MachineChanged:
    async with context.services.machines(context.principal) as api:
        machine = await _reinstallable(context, api, request)
        body = {"code": machine.code} if machine.code else None
        await api.post(f"/api/machines/{machine.id}/accept", body)
        sentence = f"{machine.name} is written anew at its next start from the network."
        if machine.power:
            try:
                await api.post(f"/api/machines/{machine.id}/netboot")
                sentence = f"{machine.name} starts from the network now and is written anew."
            except SoundstageError as error:
                # The yes stands: what is missing is said, and nothing is taken back by itself.
                sentence += f" It could not be started from here: {error.message} Start it by hand."
    return MachineChanged(machine_id=machine.id, name=machine.name, done=sentence)


async def _reinstallable(context: ToolContext, api: MachinesClient, request: ChangeMachine) -> Machine:
    machine = await get_machine(api, request.machine)
    if machine.state not in _REINSTALLABLE:
        raise Conflict(
            "machine.not_reinstallable",
            f"{machine.name} is {machine.state}: it cannot be written anew now.",
            f"“Why is {machine.name} waiting?” tells what comes next.",
        )
    if work := await work_on(context, machine.name):
        raise Conflict(
            "machine.at_work",
            f"{machine.name} is at work on {join_names(work)}.",
            f"Say “drain {machine.name}” first, and wait until it is empty.",
        )
    return machine


async def _plan_drain(context: ToolContext, request: ChangeMachine) -> Plan:
    async with context.services.cluster() as nomad:
        node = await node_named(nomad, request.machine)
        work = await jobs_on(nomad, str(node["ID"]), lasting=True)
    name = str(node["Name"])
    if not takes_work(node):
        raise Conflict(
            "machine.drained_already",
            f"{name} takes no work already.",
            f"“Let {name} work again” takes that back.",
        )
    changes = (
        change("It takes no new work", name),
        # Not the single tasks: they come and go by the second, and every one would void the yes.
        change(
            "What runs there ends or moves to other machines within an hour",
            join_names(work, 20) if work else "",
        ),
    )
    return Plan(changes=changes)


async def _drain(context: ToolContext, request: ChangeMachine) -> MachineChanged:
    async with context.services.cluster() as nomad:
        node = await node_named(nomad, request.machine)
        work = await jobs_on(nomad, str(node["ID"]))
        await nomad.drain(str(node["ID"]), DRAIN_DEADLINE)
    name = str(node["Name"])
    more = f" {join_names(work)} moves to other machines." if work else " Nothing was running there."
    return MachineChanged(machine_id="", name=name, done=f"{name} takes no new work.{more}")


async def _plan_undrain(context: ToolContext, request: ChangeMachine) -> Plan:
    async with context.services.cluster() as nomad:
        node = await node_named(nomad, request.machine)
    return Plan(changes=(change("It takes work again", str(node["Name"])),), seconds=0)


async def _undrain(context: ToolContext, request: ChangeMachine) -> MachineChanged:
    async with context.services.cluster() as nomad:
        node = await node_named(nomad, request.machine)
        await nomad.undrain(str(node["ID"]))
    return MachineChanged(machine_id="", name=str(node["Name"]), done=f"{node['Name']} takes work again.")


class _RetirePlan(BaseModel):
    steps: tuple[str, ...]
    digest: str


async def _plan_retire(context: ToolContext, request: ChangeMachine) -> Plan:
    async with context.services.machines(context.principal) as api:
        machine = await get_machine(api, request.machine)
        plan = parse_answer(_RetirePlan, await api.get(f"/api/machines/{machine.id}/retire"))
    changes = [change("It goes out of service for good", introduction(machine), deletes=True)]
    changes += [change(step.removesuffix("."), machine.name) for step in plan.steps]
    return Plan(changes=tuple(changes))


async def _retire(context: ToolContext, request: ChangeMachine) -> MachineChanged:
    async with context.services.machines(context.principal) as api:
        machine = await get_machine(api, request.machine)
        path = f"/api/machines/{machine.id}/retire"
        plan = parse_answer(_RetirePlan, await api.get(path))
        # The API compares the digest, so nothing can change between its plan and the act.
        origin = f"asked for by {context.principal.name}, trace {trace_id() or 'none'}"
        body = {"confirm": machine.name, "plan": plan.digest, "reason": " ".join(origin.split())[:300]}
        done = parse_answer(Machine, await api.post(path, body))
    wiped = " Its disks are wiped at its next start from the network, then it is retired."
    return MachineChanged(
        machine_id=done.id,
        name=done.name,
        done=f"{done.name} is out of service.{wiped * (done.state == 'draining')}",
    )


async def _plan_switch_on(context: ToolContext, request: ChangeMachine) -> Plan:
    async with context.services.machines(context.principal) as api:
        machine = await _switchable(api, request, "on")
    changes = [change(f"It is switched on by {machine.power}", introduction(machine))]
    if next_start := _AT_NEXT_START.get(machine.state):
        changes.append(change(next_start, machine.name))
    return Plan(changes=tuple(changes))


async def _switch(context: ToolContext, request: ChangeMachine, way: Literal["on", "off"]) -> Machine:
    async with context.services.machines(context.principal) as api:
        machine = await _switchable(api, request, way)
        await api.post(f"/api/machines/{machine.id}/power", {"action": way})
    return machine


async def _switch_on(context: ToolContext, request: ChangeMachine) -> MachineChanged:
    machine = await _switch(context, request, "on")
    # Wake-on-LAN has no answer.
    sentence = f"{machine.name} is told to switch on ({machine.power}). It shows up when it has started."
    return MachineChanged(machine_id=machine.id, name=machine.name, done=sentence)


async def _plan_switch_off(context: ToolContext, request: ChangeMachine) -> Plan:
    async with context.services.machines(context.principal) as api:
        machine = await _switchable(api, request, "off")
    # Not the single tasks: they come and go by the second, and every one would void the yes.
    work = await work_on(context, machine.name, lasting=True)
    changes = [
        change(
            f"Its power is cut by {machine.power}: nothing there is shut down before", introduction(machine)
        )
    ]
    if cut_off := _CUT_OFF.get(machine.state):
        changes.append(change(cut_off, machine.name))
    if work:
        changes.append(
            change("What runs there stops, and goes on elsewhere where there is room", join_names(work, 20))
        )
    return Plan(changes=tuple(changes))


async def _switch_off(context: ToolContext, request: ChangeMachine) -> MachineChanged:
    machine = await _switch(context, request, "off")
    sentence = f"The power of {machine.name} is cut ({machine.power}). “Switch {machine.name} on” brings it"
    return MachineChanged(machine_id=machine.id, name=machine.name, done=f"{sentence} back.")


async def _switchable(api: MachinesClient, request: ChangeMachine, way: Literal["on", "off"]) -> Machine:
    machine = await get_machine(api, request.machine)
    if not machine.power:
        raise Conflict(
            "machine.no_switch",
            f"No power control is set for {machine.name}.",
            f"Switch it {way} by hand, or say how: `soundstage machines power-setup {machine.name} "
            f"{'wol' if way == 'on' else 'redfish'}`.",
        )
    if way == "off" and machine.power == "wol":
        raise Conflict(
            "machine.only_on",
            f"{machine.name} is switched by Wake-on-LAN, which can only switch on.",
            f"Switch it off by hand, or say how: `soundstage machines power-setup {machine.name} redfish`.",
        )
    return machine


ACTS: Mapping[str, MachineAct] = MappingProxyType(
    {
        "accept": MachineAct(_plan_accept, _accept),
        "choose_key": MachineAct(_plan_choose_key, _choose_key),
        "reinstall": MachineAct(_plan_reinstall, _reinstall),
        "drain": MachineAct(_plan_drain, _drain),
        "undrain": MachineAct(_plan_undrain, _undrain),
        "switch_on": MachineAct(_plan_switch_on, _switch_on),
        "switch_off": MachineAct(_plan_switch_off, _switch_off),
        "retire": MachineAct(_plan_retire, _retire),
    }
)
