"""Reads the nodes of the cluster with their cards and what runs there. Called by `soundstage nodes` and the
doctor.

Plain calls that nothing waits for, so python-nomad does them, in a thread; what is on the way of a segment
goes through farm.nomad.client (docs/decisions/0007-one-nomad-job-per-segment.md).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nomad.api.exceptions import BaseNomadException, URLNotAuthorizedNomadException

from farm.nomad.address import NomadAddress, engine_address
from farm.nomad.inventory import cards_of, lives
from soundstage.errors import Forbidden, SoundstageError, Unavailable
from soundstage.health import BY_CHECKS, BY_HEALING
from soundstage.http.engines import nomad_client

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class CardOverview:
    """`taken` counts shares of a shared card (of `shares`), else tasks."""

    uuid: str
    model: str
    memory_mib: int
    shares: int
    taken: int
    fault: str


@dataclass(frozen=True, slots=True)
class NodeOverview:
    """`state`: Nomad's status, `draining` or `ineligible`. `eligible`: nobody has drained it or set it aside.
    `jobs` are names of what runs or starts there.
    """

    id: str
    name: str
    state: str
    pool: str
    cards: tuple[CardOverview, ...]
    jobs: tuple[str, ...]
    eligible: bool = True
    failed_checks: str = ""
    """Why its own checks (role health) have drained it."""


@dataclass(frozen=True, slots=True)
class ClusterOverview:
    leader: str
    nodes: tuple[NodeOverview, ...]


async def overview(address: NomadAddress) -> ClusterOverview:
    """Raises SoundstageError: `nomad.unreachable`, `nomad.forbidden`, `nomad.token_unreadable`."""
    return await asyncio.to_thread(_overview, address)


def _overview(address: NomadAddress) -> ClusterOverview:
    try:
        with nomad_client(engine_address(address), TIMEOUT_S) as client:
            leader = str(client.status.leader.get_leader())
            nodes = client.nodes.get_nodes(resources=True)
            allocations = client.allocations.get_allocations(resources=True)
    except (BaseNomadException, OSError) as error:
        raise _known(error) from error
    return ClusterOverview(leader, tuple(node_overview(node, allocations) for node in nodes))


def node_overview(node: Mapping[str, Any], allocations: Sequence[Mapping[str, Any]]) -> NodeOverview:
    """From the short forms of a node and of all allocations, both with their resources."""
    here = [one for one in allocations if one["NodeID"] == node["ID"] and lives(one)]
    taken: Counter[str] = Counter()
    for allocation in here:
        tasks = ((allocation.get("AllocatedResources") or {}).get("Tasks") or {}).values()
        for device in (device for task in tasks for device in task.get("Devices") or ()):
            taken.update(str(one).partition("#")[0] for one in device.get("DeviceIDs") or ())
    marks = (node.get("LastDrain") or {}).get("Meta") or {}
    state, eligible = str(node.get("Status")), node.get("SchedulingEligibility") == "eligible"
    if node.get("Drain"):
        state = "draining"
    elif state == "ready" and not eligible:
        state = "ineligible"
    return NodeOverview(
        id=str(node["ID"]),
        name=str(node.get("Name") or node["ID"]),
        state=state,
        pool=str(node.get("NodePool") or "default"),
        cards=tuple(
            CardOverview(card.uuid, card.model, card.memory_mib, card.shares, taken[card.uuid], card.fault)
            for card in cards_of(node)
        ),
        jobs=tuple(sorted(str(one["JobID"]) for one in here)),
        eligible=eligible,
        failed_checks="" if eligible or BY_HEALING in marks else str(marks.get(BY_CHECKS) or ""),
    )


def _known(error: BaseNomadException | OSError) -> SoundstageError:
    if isinstance(error, URLNotAuthorizedNomadException):
        return Forbidden(
            "nomad.forbidden",
            "Nomad does not allow this token to see its nodes.",
            "Check the token in `farm.nomad.token_file` and its policy (docs/guide/nomad.md).",
        )
    return Unavailable(
        "nomad.unreachable",
        f"Nomad does not answer: {type(error).__name__}.",
        "Check `farm.nomad.address` and that the servers run.",
    )
