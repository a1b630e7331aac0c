"""Reads nodes of Nomad as healing needs them, and orders drains that carry a mark.

The health checks of a machine lift a drain that has the mark `BY_CHECKS` once all of them pass, the golden
frame among them (`ansible/roles/health/files/health/gate.py`). A drain with the mark `BY_HEALING`
alone stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import nomad

from provisioning_api.engines.calling import Engine
from soundstage.health import BY_CHECKS, BY_HEALING
from soundstage.http.engines import nomad_client

RESERVED = "spare"
"""The value of `BY_HEALING` on a spare machine that is in reserve."""
_DRAINED = "Node drain strategy set"
_SET_ASIDE = "Node marked as ineligible for scheduling"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node. `kind`: its pool and its types of cards, since only nodes of one kind replace each other.
    `marks`: the metadata of the drain that makes it ineligible; None when an operator has drained it or set
    it aside, and for an eligible node.
    """

    id: str
    name: str
    status: str
    eligible: bool
    draining: bool
    marks: Mapping[str, str] | None
    bad_cards: tuple[str, ...]
    kind: tuple[str, ...]

    @property
    def is_up(self) -> bool:
        return self.status == "ready"

    @property
    def is_well(self) -> bool:
        """Returns whether it takes work, with all of its cards."""
        return self.is_up and self.eligible and not self.bad_cards

    @property
    def set_aside(self) -> bool:
        """Returns whether an operator has taken it out of service."""
        return not self.eligible and self.marks is None

    @property
    def held(self) -> bool:
        """Returns whether healing holds it: its own checks cannot return it."""
        return self.marks is not None and BY_HEALING in self.marks and BY_CHECKS not in self.marks

    @property
    def reserved(self) -> bool:
        return self.held and self.marks is not None and self.marks[BY_HEALING] == RESERVED


class NodeObserver:
    """The token needs `node { policy = "write" }`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def nodes(self) -> dict[str, NodeFacts]:
        """Returns all nodes by name: of several with one name that which is up, else the newest."""
        return await self._engine.ask(nomad_client, _read)

    async def drain(self, node: NodeFacts, marks: Mapping[str, str], deadline: timedelta) -> bool:
        """Takes its work away. Returns False, and changes nothing, when its drain has these marks already."""
        if node.marks is not None and dict(node.marks) == dict(marks):
            return False
        body = {
            "DrainSpec": {"Deadline": int(deadline.total_seconds() * 1e9), "IgnoreSystemJobs": True},
            "Meta": dict(marks),
        }
        await self._engine.ask(
            nomad_client,
            # The library's method sends no metadata.
            lambda client: client.node.request(node.id, "drain", json=body, method="post").json(),
        )
        return True


def _read(client: nomad.Nomad) -> dict[str, NodeFacts]:
    found: dict[str, dict[str, Any]] = {}
    stubs: Sequence[dict[str, Any]] = client.nodes.get_nodes(resources=True)
    for stub in sorted(stubs, key=lambda one: (one["Status"] == "ready", one["CreateIndex"])):
        found[stub["Name"]] = stub
    return {name: _facts(stub, _marks(client, stub)) for name, stub in found.items()}


def _marks(client: nomad.Nomad, stub: Mapping[str, Any]) -> Mapping[str, str] | None:
    meta = (stub.get("LastDrain") or {}).get("Meta") or {}
    if stub["SchedulingEligibility"] == "eligible" or not {BY_CHECKS, BY_HEALING} & meta.keys():
        return None
    # Its last drain has a mark; an operator may have set it aside since that drain ended.
    for event in reversed(client.node.get_node(stub["ID"]).get("Events") or []):
        if event["Message"] == _DRAINED:
            break
        if event["Message"] == _SET_ASIDE:
            return None
    return {str(key): str(value) for key, value in meta.items()}


def _facts(stub: Mapping[str, Any], marks: Mapping[str, str] | None) -> NodeFacts:
    devices = (stub.get("NodeResources") or {}).get("Devices") or []
    bad = [
        f"{device['Name']} {one['ID']}: {one['HealthDescription'] or 'unhealthy'}"
        for device in devices
        for one in device.get("Instances") or []
        if not one["Healthy"]
    ]
    return NodeFacts(
        id=stub["ID"],
        name=stub["Name"],
        status=stub["Status"],
        eligible=stub["SchedulingEligibility"] == "eligible",
        draining=bool(stub.get("Drain")),
        marks=marks,
        bad_cards=tuple(sorted(bad)),
        kind=(stub.get("NodePool") or "default", *sorted(device["Name"] for device in devices)),
    )
