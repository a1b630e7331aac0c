"""Converts Nomad's nodes and allocations to nodes and leases of the lease table; used by the placer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from farm.nomad.request import SHARED_POOL
from farm.placement import Assignment, Card, Lease, Node
from farm.placement.cards import Value

Json = Mapping[str, Any]
LIVING = frozenset({"pending", "running"})
COMPUTE = "compute_capability"
"""Of a card, times ten; our device plugin reports it."""


@dataclass(frozen=True, slots=True)
class Eligible:
    """Filters the nodes that may run our jobs at all."""

    driver: str
    node_pool: str = "all"
    datacenters: tuple[str, ...] = ("*",)

    def admits(self, node: Json) -> bool:
        driver = (node.get("Drivers") or {}).get(self.driver) or {}
        pools = (node.get("NodePool"), "all")
        return (
            node.get("Status") == "ready"
            and bool(driver.get("Detected") and driver.get("Healthy"))
            and (self.node_pool in pools or node.get("NodePool") == SHARED_POOL)
            and ("*" in self.datacenters or node.get("Datacenter") in self.datacenters)
        )


def nodes_of(listed: Iterable[Json], eligible: Eligible) -> list[Node]:
    """Returns the nodes that are up, with drained ones, which take nothing new."""
    return [node_of(node) for node in listed if eligible.admits(node)]


def lease_of(allocation: Json, lease_id: str, *, owner: str = "", engine: str = "") -> Lease:
    """Returns what an allocation holds as a lease. Allocations of others have no owner."""
    tasks = ((allocation.get("AllocatedResources") or {}).get("Tasks") or {}).values()
    devices = [device for task in tasks for device in task.get("Devices") or ()]
    instances = [str(one) for device in devices for one in device.get("DeviceIDs") or ()]
    cards = tuple(dict.fromkeys(one.partition("#")[0] for one in instances))
    shares = len(instances) if any("#" in one for one in instances) else 0
    return Lease(
        id=lease_id,
        owner=owner,
        engine=engine,
        assignment=Assignment(str(allocation["NodeID"]), cards, shares),
        cpu_mhz=sum(int(task["Cpu"]["CpuShares"]) for task in tasks),
        memory_mib=sum(int(task["Memory"]["MemoryMB"]) for task in tasks),
    )


def lives(allocation: Json) -> bool:
    return allocation.get("ClientStatus") in LIVING


def cards_of(node: Json) -> tuple[Card, ...]:
    """Returns each card once, whole or in shares."""
    groups = (node.get("NodeResources") or {}).get("Devices") or ()
    found = [card for group in groups if group.get("Type") == "gpu" for card in _cards(group)]
    return tuple({card.uuid: card for card in found}.values())


def node_of(node: Json) -> Node:
    """Returns a node with its cards and what it has for work, whether it may run our jobs or not."""
    resources, reserved = node.get("NodeResources") or {}, node.get("ReservedResources") or {}
    cards = cards_of(node)
    return Node(
        id=str(node["ID"]),
        name=str(node.get("Name") or node["ID"]),
        cards=cards,
        shared=any(card.shares for card in cards),
        cpu_mhz=_amount(resources, "Cpu", "CpuShares") - _amount(reserved, "Cpu", "CpuShares"),
        memory_mib=_amount(resources, "Memory", "MemoryMB") - _amount(reserved, "Memory", "MemoryMB"),
        drained=bool(node.get("Drain")) or node.get("SchedulingEligibility") != "eligible",
    )


def _cards(group: Json) -> list[Card]:
    """Reads a device group, which is one card in shares or all cards of one model."""
    found = {name: _value(value) for name, value in (group.get("Attributes") or {}).items()}
    memory = int(found.get("memory") or 0)
    instances = group.get("Instances") or ()
    attributes: tuple[tuple[str, Value], ...] = ()
    if (compute := found.get(COMPUTE)) is not None:
        attributes = ((COMPUTE, int(compute)),)
    if "shares" in found:
        faults = [_fault(one) for one in instances if _fault(one)]
        model, shares = str(found.get("model") or group["Name"]), int(found["shares"])
        return [Card(str(found["uuid"]), model, memory, shares, faults[0] if faults else "", attributes)]
    return [
        Card(str(one["ID"]), str(group["Name"]), memory, fault=_fault(one), attributes=attributes)
        for one in instances
    ]


def _fault(instance: Json) -> str:
    return "" if instance.get("Healthy") else str(instance.get("HealthDescription") or "unhealthy")


def _value(attribute: Json) -> Any:
    """Returns the field that is set: Nomad has one per type and leaves the others empty."""
    kinds = ("Int", "String", "Float", "Bool")
    return next((attribute[kind] for kind in kinds if attribute.get(kind) is not None), None)


def _amount(resources: Json, kind: str, name: str) -> int:
    return int((resources.get(kind) or {}).get(name) or 0)
