"""Finds nodes and jobs in the farm's Nomad. Used by the tools on machines, the
cluster and its jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from agent.presentation.text import name_hint
from farm.nomad.client import Json
from farm.nomad.operating import OperatorClient
from soundstage.errors import Conflict, NotFound

NomadFactory = Callable[[], AbstractAsyncContextManager[OperatorClient]]
"""One conversation with Nomad; raises `cluster.not_configured` where the settings name none."""


async def node_named(nomad: OperatorClient, name: str) -> Json:
    """The node of that machine. Raises `cluster.no_node`, with a name that is near."""
    folded = name.strip().casefold()
    nodes, _ = await nomad.nodes()
    found = [one for one in nodes if folded in (str(one["Name"]).casefold(), str(one["ID"]))]
    alive = [one for one in found if one.get("Status") != "down"] or found
    if len(alive) > 1:
        raise Conflict(
            "cluster.two_nodes",
            f"{len(alive)} nodes of the farm are called {name.strip()}.",
            f"Name one by its id: {', '.join(str(one['ID']) for one in alive[:5])}.",
        )
    if alive:
        return alive[0]
    names = sorted({str(one["Name"]) for one in nodes})
    raise NotFound(
        "cluster.no_node", f"No node of the farm is called {name.strip()!r}.", name_hint(folded, names)
    )


async def job_named(nomad: OperatorClient, name: str) -> Json:
    """The short form of that job. Raises `cluster.no_job`, with a name that is near."""
    jobs = await nomad.all_jobs()
    folded = name.strip().casefold()
    for job in jobs:
        if str(job["ID"]).casefold() == folded:
            return job
    names = [str(job["ID"]) for job in jobs]
    raise NotFound(
        "cluster.no_job", f"The farm knows no job called {name.strip()!r}.", name_hint(folded, names)
    )


async def jobs_on(nomad: OperatorClient, node_id: str, *, lasting: bool = False) -> list[str]:
    """Names of what runs or starts on that node, without doubles; `lasting`: services alone."""
    allocations, _ = await nomad.all_allocations()
    here = [one for one in allocations if one["NodeID"] == node_id]
    if lasting:
        here = [one for one in here if one.get("JobType") in ("service", "system")]
    going = {str(one["JobID"]) for one in here if one.get("ClientStatus") in ("pending", "running")}
    return sorted(going)


def takes_work(node: Json) -> bool:
    return not node.get("Drain") and node.get("SchedulingEligibility") == "eligible"
