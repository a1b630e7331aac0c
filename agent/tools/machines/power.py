"""Switching a machine on and off through the provisioning API: acts of the tool change_machine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from agent.presentation.text import join_names
from agent.tools.machines.action import Acted, MachineAct, MachineRequest, work_on
from agent.tools.machines.api import Machine, MachinesClient, get_machine
from agent.tools.machines.text import introduction
from agent.tools.plan import Plan, change
from agent.tools.record import ToolContext
from soundstage.errors import Conflict

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


async def _plan_switch_on(context: ToolContext, request: MachineRequest) -> Plan:
    async with context.services.machines(context.principal) as api:
        machine = await _switchable(api, request, "on")
    changes = [change(f"It is switched on by {machine.power}", introduction(machine))]
    if next_start := _AT_NEXT_START.get(machine.state):
        changes.append(change(next_start, machine.name))
    return Plan(changes=tuple(changes))


async def _switch_on(context: ToolContext, request: MachineRequest) -> Acted:
    async with context.services.machines(context.principal) as api:
        machine = await _switchable(api, request, "on")
        await api.post(f"/api/machines/{machine.id}/power", {"action": "on"})
    # Wake-on-LAN cannot tell whether anybody heard it.
    sentence = f"{machine.name} is told to switch on ({machine.power}). It shows up when it has started."
    return Acted(machine.id, machine.name, sentence)


async def _plan_switch_off(context: ToolContext, request: MachineRequest) -> Plan:
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


async def _switch_off(context: ToolContext, request: MachineRequest) -> Acted:
    async with context.services.machines(context.principal) as api:
        machine = await _switchable(api, request, "off")
        await api.post(f"/api/machines/{machine.id}/power", {"action": "off"})
    sentence = f"The power of {machine.name} is cut ({machine.power}). “Switch {machine.name} on” brings it"
    return Acted(machine.id, machine.name, f"{sentence} back.")


async def _switchable(api: MachinesClient, request: MachineRequest, way: Literal["on", "off"]) -> Machine:
    machine = await get_machine(api, request.machine)
    if not machine.power:
        raise Conflict(
            "machine.no_switch",
            f"Nobody has said how {machine.name} is switched.",
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


SWITCHES: Mapping[str, MachineAct] = MappingProxyType(
    {
        "switch_on": MachineAct(_plan_switch_on, _switch_on),
        "switch_off": MachineAct(_plan_switch_off, _switch_off),
    }
)
