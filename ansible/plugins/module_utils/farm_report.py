# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns what machines, Nomad and Consul say about a farm into problems and one page; the action farm_report
calls it. Nothing of Ansible is imported here, so that the page can be tested by itself.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

WIDTH = 110


@dataclass(frozen=True)
class Problem:
    """`machine` is "the farm" for what belongs to no single one."""

    machine: str
    code: str
    message: str
    hint: str


@dataclass(frozen=True)
class Machine:
    """The answers of one machine. `control`: a server of both engines; `works`: a client of Nomad that takes
    jobs. `health`: that of `soundstage-health run --json`, None without one.
    """

    name: str
    control: bool
    works: bool
    reachable: bool
    health: dict[str, Any] | None = None
    clock_off_s: float = 0.0


@dataclass(frozen=True)
class Engines:
    """The states of Nomad and Consul; `silent` holds the error of an engine that does not answer."""

    nodes: list[dict[str, Any]] = field(default_factory=list)
    nomad_servers_healthy: int = 0
    consul_members: dict[str, str] = field(default_factory=dict)  # name: alive, failed, left …
    silent: dict[str, str] = field(default_factory=dict)


def problems(machines: list[Machine], engines: Engines, clock_tolerance_s: float) -> list[Problem]:
    """Everything that is wrong, by machine, what belongs to the farm first."""
    found = [*_of_farm(machines, engines)]
    nodes = {node["Name"]: node for node in engines.nodes}
    for machine in machines:
        found += _of_machine(machine, clock_tolerance_s)
        if machine.works and "nomad" not in engines.silent:
            found += _of_node(machine, nodes.get(machine.name))
        if machine.reachable and "consul" not in engines.silent:
            state = engines.consul_members.get(machine.name, "unknown")
            if state != "alive":
                hint = "Look at `systemctl status consul` on the machine."
                found.append(Problem(machine.name, "farm.consul_member", f"For Consul it is {state}.", hint))
    return found


def page(farm: str, machines: list[Machine], engines: Engines, found: list[Problem], at: str) -> list[str]:
    """The lines of the report."""
    nodes = {node["Name"]: node for node in engines.nodes}
    by_machine = {machine.name: [one for one in found if one.machine == machine.name] for machine in machines}
    wide = max((len(machine.name) for machine in machines), default=0)
    lines = [f"The farm {farm}, {len(machines)} machines, {at}", ""]
    for machine in machines:
        count = len(by_machine[machine.name])
        state = "well" if not count else "1 problem" if count == 1 else f"{count} problems"
        kind = "control" if machine.control else "worker"
        lines.append(f"  {machine.name:<{wide}}  {kind:<7}  {state:<11}  {_remark(machine, nodes)}".rstrip())
    lines += [
        "",
        "Nothing is wrong." if not found else f"{len(found)} problems:" if len(found) > 1 else "1 problem:",
    ]
    for one in found:
        lines += ["", f"  {one.machine}: {one.code}"]
        lines += textwrap.wrap(
            f"{one.message} {one.hint}", WIDTH - 4, initial_indent="    ", subsequent_indent="    "
        )
    return lines


def _of_farm(machines: list[Machine], engines: Engines) -> Iterator[Problem]:
    for engine, words in sorted(engines.silent.items()):
        hint = f"Look at `systemctl status {engine}` on the control machines."
        yield Problem(
            "the farm", f"farm.{engine}_silent", f"{engine.capitalize()} does not answer: {words}", hint
        )
    servers = sum(machine.control for machine in machines)
    if "nomad" not in engines.silent and engines.nomad_servers_healthy < servers:
        message = f"Only {engines.nomad_servers_healthy} of {servers} Nomad servers are healthy."
        yield Problem(
            "the farm", "farm.nomad_servers", message, "`nomad operator autopilot health` says which."
        )
    known = {machine.name for machine in machines}
    for node in engines.nodes:
        if node["Name"] not in known and node["Status"] == "ready":
            hint = "Add it to the inventory, or stop Nomad there."
            message = f"Nomad has a node {node['Name']} ({node['Address']}) that is not in the inventory."
            yield Problem("the farm", "farm.unknown_node", message, hint)


def _of_machine(machine: Machine, clock_tolerance_s: float) -> Iterator[Problem]:
    if not machine.reachable:
        hint = "Look whether it has power and network; its console says more."
        yield Problem(machine.name, "farm.machine_silent", "It does not answer on SSH.", hint)
        return
    if abs(machine.clock_off_s) > clock_tolerance_s:
        way = "ahead of" if machine.clock_off_s > 0 else "behind"
        message = f"Its clock is {abs(machine.clock_off_s):.0f} s {way} the controller's."
        yield Problem(
            machine.name,
            "farm.clock_off",
            message,
            "`timedatectl set-ntp true`, or correct the controller's.",
        )
    if machine.health is None:
        yield Problem(
            machine.name, "farm.not_set_up", "It has no checks.", "Converge it: the role health places them."
        )
        return
    for one in machine.health["problems"]:
        yield Problem(machine.name, one["code"], one["message"], one["hint"])


def _of_node(machine: Machine, node: dict[str, Any] | None) -> Iterator[Problem]:
    if node is None:
        yield Problem(
            machine.name,
            "farm.node_missing",
            "Nomad does not know it.",
            "Converge it: the role nomad lets it join.",
        )
        return
    if node["Status"] != "ready":
        hint = "Look at `journalctl -u nomad` on the machine."
        yield Problem(machine.name, "farm.node_down", f"For Nomad it is {node['Status']}.", hint)
    elif node["SchedulingEligibility"] != "eligible":
        ours = "soundstage_health" in ((node.get("LastDrain") or {}).get("Meta") or {})
        message = "It has drained itself." if ours else "A person has drained it or set it aside."
        playbook = "ansible/playbooks/drain.yaml"
        hint = (
            "It takes work again by itself when its checks pass."
            if ours
            else f"`ansible-playbook {playbook} --limit {machine.name} -e drain=off` brings it back."
        )
        yield Problem(machine.name, "farm.node_set_aside", message, hint)
    for group in (node.get("NodeResources") or {}).get("Devices") or []:
        for card in group["Instances"]:
            if not card["Healthy"]:
                message = f"Nomad knows the card {card['ID']} as faulty: {card['HealthDescription']}."
                yield Problem(
                    machine.name, "farm.card_faulty", message, "Work that ran on it is placed anew by itself."
                )


def _remark(machine: Machine, nodes: dict[str, dict[str, Any]]) -> str:
    words = []
    if machine.health is not None:
        words.append(f"{len(machine.health['checks'])} checks")
    node = nodes.get(machine.name)
    if node is not None:
        words.append(str(node["SchedulingEligibility"]))
        groups = (node.get("NodeResources") or {}).get("Devices") or []
        cards = sum(len(group["Instances"]) for group in groups)
        if cards:
            words.append(f"{cards} cards" if cards > 1 else "1 card")
    return ", ".join(words)
