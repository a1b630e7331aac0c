"""The values that jobs/render.nomad.hcl is parsed with for one task: the only place that knows how a need
becomes a request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from farm.needs import Needs
from farm.tasks import SegmentTask

SHARE_MIB = 1024
SHARED_POOL = "gpu-shared"
DEVICE = "nvidia/gpu"
VOLUME_PLACE = "/soundstage-cache"
"""Where jobs/render.nomad.hcl mounts the host volume."""

Mode = Literal["whole", "shared"]

_STRANGE = re.compile(r"[^A-Za-z0-9_-]+")
_NAME_CHARS = 60
"""Nomad takes paths of variables of at most 128 letters, digits, `-`, `_`, `~`; ours end in a job's name."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """Options that all jobs of an installation share. `program` is another worker program than avatar.

    `cache_dir` is a folder of the nodes, `cache_volume` a Nomad host volume of theirs; with neither each
    allocation fetches its inputs for itself. Of either the workers keep `cache_mib`. `worker_volume` has the
    worker itself, where the driver shows it nothing of the node's /opt. `models_folder` is where weights lie
    as a task sees it; empty: the worker looks where the role `models` puts them. Workers call
    `other_control_urls` when the server that registered their job does not answer.
    """

    prefix: str = "soundstage"
    namespace: str = "default"
    datacenters: tuple[str, ...] = ("*",)
    node_pool: str = "all"
    driver: str = "exec"
    command: str = "avatar"
    program: tuple[str, ...] = ()
    kill_timeout_s: float = 10.0
    cache_dir: str = ""
    cache_volume: str = ""
    worker_volume: str = ""
    models_folder: str = ""
    cache_mib: int = 10_240
    other_control_urls: tuple[str, ...] = ()

    @property
    def cache(self) -> str:
        """As the worker sees it."""
        return VOLUME_PLACE if self.cache_volume else self.cache_dir or "${NOMAD_ALLOC_DIR}/cache"


@dataclass(frozen=True, slots=True)
class PlacementHint:
    """A hint for the placement of one job. `node` and `card` are where it fits best, as an affinity: when the
    lease table is out of date, Nomad places it elsewhere.
    """

    mode: Mode = "whole"
    node: str = ""
    card: str = ""
    vram_mib: int = 0
    """What to ask of each card: what the task needs, or more where that was too little before."""
    compute_reported: bool = False
    """True where cards of the farm report their compute capability, so that a job may ask for it."""
    avoid_nodes: Collection[str] = ()


def job_id(prefix: str, task_id: str) -> str:
    """`soundstage-<begin of the segment's hash>-<digest of segment and attempt>`, or the plain id of a short
    one.
    """
    name = _STRANGE.sub("-", task_id)
    if name == task_id and len(name) <= _NAME_CHARS:
        return f"{prefix}-{name}"
    return f"{prefix}-{name[:_NAME_CHARS]}-{hashlib.sha256(task_id.encode()).hexdigest()[:12]}"


def device_request(needs: Needs, choice: PlacementHint) -> dict[str, Any]:
    """Whole cards: as many as needed, each large enough. Shares: as many of 1 GiB as the work needs of one
    card, on nodes whose plugin announces shares (one device group per card, so they cannot straddle).
    """
    if needs.gpus == 0:
        return {"gpus": 0}
    vram_mib = max(needs.vram_mib, choice.vram_mib)
    compute = needs.compute if choice.compute_reported else 0
    if choice.mode == "whole":
        return {"gpus": needs.gpus, "vram_mib": vram_mib, "device": DEVICE, "compute": compute}
    return {
        "compute": compute,
        "gpus": max(1, ceil(vram_mib / SHARE_MIB)),
        "vram_mib": vram_mib,
        "device": DEVICE,
        "card": choice.card,
        "node_pool": SHARED_POOL,
    }


def job_variables(
    task: SegmentTask, options: JobOptions, choice: PlacementHint, *, control_url: str, ticket: str
) -> dict[str, Any]:
    """`ticket` names the token without telling it: a job that is there already is ours when it has it."""
    # ${…} is filled in by Nomad on the node.
    arguments = ["work"]
    for url in (control_url, *options.other_control_urls):
        arguments += ["--control", url]
    arguments += ["--task", task.id, "--token", "${NOMAD_SECRETS_DIR}/token"]
    arguments += ["--cache", options.cache, "--cache-mib", str(options.cache_mib)]
    if options.program:
        arguments += ["--", *options.program]
    return {
        "id": job_id(options.prefix, task.id),
        "by_hand": False,
        "engine": task.needs.engine,
        "cpu": task.needs.cpu_mhz,
        "memory_mb": task.needs.memory_mib,
        "namespace": options.namespace,
        "datacenters": list(options.datacenters),
        "node_pool": options.node_pool,
        "driver": options.driver,
        "command": options.command,
        "args": arguments,
        "priority": nomad_priority(task.priority),
        "node": choice.node,
        "avoid_nodes": sorted(choice.avoid_nodes),
        "cache_volume": options.cache_volume,
        "worker_volume": options.worker_volume,
        "models_folder": options.models_folder,
        "kill_timeout": f"{options.kill_timeout_s:g}s",
        "retries": 0,
        "traceparent": task.traceparent or "",
        "meta": {"task": task.id, "ticket": ticket, "trace": task.trace_id or ""},
        **device_request(task.needs, choice),
    }


def nomad_priority(priority: int) -> int:
    """Ours is any number with 0 as the middle, Nomad's goes from 1 to 100 with 50 as the middle."""
    return max(1, min(100, 50 + priority))
