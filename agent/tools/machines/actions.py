"""Plans and does what can be done with a machine; people agree to the plan. Called by
the tool change_machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from pydantic import BaseModel

from agent.presentation.text import join_names
from agent.tools.cluster.nomad import jobs_on, node_named, takes_work
from agent.tools.machines.action import Acted, MachineAct, MachineRequest, work_on
from agent.tools.machines.api import Machine, MachinesClient, Timeline, get_machine, parse_answer
from agent.tools.machines.power import SWITCHES
from agent.tools.machines.text import disks_of, introduction, other_key
from agent.tools.plan import Plan, change
from agent.tools.record import ToolContext
from soundstage.errors import Conflict, Invalid, SoundstageError
from soundstage.tracing import trace_id

DRAIN_DEADLINE = timedelta(hours=1)
_ACCEPTABLE = ("discovered", "retired")
_REINSTALLABLE = ("enrolled", "ready", "failed")


async def plan_act(context: ToolContext, request: MachineRequest) -> Plan:
    """Plans an action: which machine, what is lost, how long. Raises as the action would."""
    return await ACTS[request.action].plan(context, request)


async def _plan_accept(context: ToolContext, request: MachineRequest) -> Plan:
    async with context.services.machines(context.principal) as api:
        machine = await _acceptable(api, request)
    called = f", and is called {request.name}" if request.name else ""
    changes = [change(f"It joins the farm{called}", introduction(machine))]
    changes += [
        change("Another key reports as it and does not count", other_key(one)) for one in machine.conflicts
    ]
    disks = ", ".join(disks_of(machine.hardware)) or "its disk"
    changes.append(change("What is on its disk is lost when it is written", disks))
    return Plan(changes=tuple(changes))


async def _accept(context: ToolContext, request: MachineRequest) -> Acted:
    async with context.services.machines(context.principal) as api:
        machine = await _acceptable(api, request)
        # The code of the plan that was agreed to, unless it was said: the API refuses it when it has changed.
        code = request.code or machine.code
        body = {key: value for key, value in (("name", request.name), ("code", code)) if value}
        done = parse_answer(Machine, await api.post(f"/api/machines/{machine.id}/accept", body))
    start = "It joins by itself if it waits in its ramdisk; else start it from the network."
    return Acted(done.id, done.name, f"{done.name} is accepted. {start}")


async def _plan_choose_key(context: ToolContext, request: MachineRequest) -> Plan:
    async with context.services.machines(context.principal) as api:
        machine = await get_machine(api, request.machine)
    code = _required_code(request)
    changes = [change(f"The key {code} counts for it from now on, and no other", introduction(machine))]
    changes += [change("Reports as it", other_key(one)) for one in machine.conflicts]
    return Plan(changes=tuple(changes), seconds=0)


async def _choose_key(context: ToolContext, request: MachineRequest) -> Acted:
    async with context.services.machines(context.principal) as api:
        machine = await get_machine(api, request.machine)
        body = {"code": _required_code(request)}
        done = parse_answer(Machine, await api.post(f"/api/machines/{machine.id}/key", body))
    return Acted(done.id, done.name, f"The key {done.code} counts for {done.name}.")


def _required_code(request: MachineRequest) -> str:
    if request.code is None:
        raise Invalid(
            "machine.code_missing", "No code was said.", "Read it from the machine's console: 2c91-a110-1679."
        )
    return request.code


async def _acceptable(api: MachinesClient, request: MachineRequest) -> Machine:
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


async def _plan_reinstall(context: ToolContext, request: MachineRequest) -> Plan:
    async with context.services.machines(context.principal) as api:
        machine = await _reinstallable(context, api, request)
        timeline: Timeline = parse_answer(Timeline, await api.get(f"/api/machines/{machine.id}/timeline"))
    disks = ", ".join(disks_of(machine.hardware)) or "all its disks"
    start = "It is started from the network now" if machine.power else "Somebody starts it from the network"
    changes = (
        change("Everything on its disks is lost", introduction(machine) if machine.hardware else disks),
        change(start, machine.name),
        change("It is written, enrolled and configured anew", machine.name),
    )
    # What it took the last time, without the wait for a person.
    took = sum(span.seconds for span in timeline.spans if span.critical and span.source != "operator")
    return Plan(changes=changes, seconds=took or None)


async def _reinstall(context: ToolContext, request: MachineRequest) -> Acted:
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
    return Acted(machine.id, machine.name, sentence)


async def _reinstallable(context: ToolContext, api: MachinesClient, request: MachineRequest) -> Machine:
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


async def _plan_drain(context: ToolContext, request: MachineRequest) -> Plan:
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


async def _drain(context: ToolContext, request: MachineRequest) -> Acted:
    async with context.services.cluster() as nomad:
        node = await node_named(nomad, request.machine)
        work = await jobs_on(nomad, str(node["ID"]))
        await nomad.drain(str(node["ID"]), DRAIN_DEADLINE)
    name = str(node["Name"])
    more = f" {join_names(work)} moves to other machines." if work else " Nothing was running there."
    return Acted("", name, f"{name} takes no new work.{more}")


async def _plan_undrain(context: ToolContext, request: MachineRequest) -> Plan:
    async with context.services.cluster() as nomad:
        node = await node_named(nomad, request.machine)
    return Plan(changes=(change("It takes work again", str(node["Name"])),), seconds=0)


async def _undrain(context: ToolContext, request: MachineRequest) -> Acted:
    async with context.services.cluster() as nomad:
        node = await node_named(nomad, request.machine)
        await nomad.undrain(str(node["ID"]))
    return Acted("", str(node["Name"]), f"{node['Name']} takes work again.")


class _RetirePlan(BaseModel):
    steps: tuple[str, ...]
    digest: str


async def _plan_retire(context: ToolContext, request: MachineRequest) -> Plan:
    async with context.services.machines(context.principal) as api:
        machine = await get_machine(api, request.machine)
        plan: _RetirePlan = parse_answer(_RetirePlan, await api.get(f"/api/machines/{machine.id}/retire"))
    changes = [change("It goes out of service for good", introduction(machine))]
    changes += [change(step.removesuffix("."), machine.name) for step in plan.steps]
    return Plan(changes=tuple(changes))


async def _retire(context: ToolContext, request: MachineRequest) -> Acted:
    async with context.services.machines(context.principal) as api:
        machine = await get_machine(api, request.machine)
        path = f"/api/machines/{machine.id}/retire"
        plan: _RetirePlan = parse_answer(_RetirePlan, await api.get(path))
        # The API compares the digest, so nothing can change between its plan and the act.
        origin = f"asked for by {context.principal.name}, trace {trace_id() or 'none'}"
        body = {"confirm": machine.name, "plan": plan.digest, "reason": " ".join(origin.split())[:300]}
        done = parse_answer(Machine, await api.post(path, body))
    wiped = " Its disks are wiped at its next start from the network, then it is retired."
    return Acted(done.id, done.name, f"{done.name} is out of service.{wiped * (done.state == 'draining')}")


ACTS: Mapping[str, MachineAct] = MappingProxyType(
    {
        "accept": MachineAct(_plan_accept, _accept),
        "choose_key": MachineAct(_plan_choose_key, _choose_key),
        "reinstall": MachineAct(_plan_reinstall, _reinstall),
        "drain": MachineAct(_plan_drain, _drain),
        "undrain": MachineAct(_plan_undrain, _undrain),
        **SWITCHES,
        "retire": MachineAct(_plan_retire, _retire),
    }
)
