"""Registers the job of a task with its ticket and token, and purges jobs that ended long ago. Used by the
scheduler.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path

from farm.nomad.client import NomadClient
from farm.nomad.request import JobOptions, PlacementHint, job_variables
from farm.tasks import SegmentTask
from farm.transfer import TransferService
from farm.transfer.orders import order_of
from soundstage.blobs import BlobStore
from soundstage.telemetry import get_logger

JOB_FILE = Path(__file__).resolve().parents[2] / "jobs" / "render.nomad.hcl"
WAITING_LIFETIME_S = 7 * 24 * 3600.0
"""How long a token is good for a task that has no place yet; with the place it becomes much shorter."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NomadOptions:
    """`control_url` is the server's URL for workers. `grace_s`: time of a worker to stop; `upload_timeout_s`:
    time in which a finished worker retries to upload while the server is away; `claim_s`: time until jobs
    that are not resubmitted are purged; `cancel_s`: time after which a cancelled task counts as gone. The
    queue is checked every `poll_s` for changes that only time makes.
    """

    control_url: str
    job: JobOptions = field(default_factory=JobOptions)
    max_running: int = 64
    poll_s: float = 3.0
    grace_s: float = 5.0
    upload_timeout_s: float = 3600.0
    cancel_s: float = 30.0
    claim_s: float = 120.0
    keep_s: float = 24 * 3600.0


class Registration:
    """Registers and purges jobs."""

    def __init__(
        self, client: NomadClient, blobs: BlobStore, transfer: TransferService, options: NomadOptions
    ) -> None:
        self._client = client
        self._blobs = blobs
        self._transfer = transfer
        self._options = options
        self._hcl = ""

    async def register(self, task: SegmentTask, job_id: str, choice: PlacementHint) -> None:
        """Creates ticket, token and job in this order, so that a worker that starts at once finds all it
        needs.
        """
        options = self._options
        order = await order_of(
            task, self._blobs, grace_s=options.grace_s, upload_timeout_s=options.upload_timeout_s
        )
        token = await self._transfer.issue(task, order, job_id, WAITING_LIFETIME_S)
        ticket = hashlib.sha256(token.encode()).hexdigest()[:16]
        variables = job_variables(task, options.job, choice, control_url=options.control_url, ticket=ticket)
        self._hcl = self._hcl or await asyncio.to_thread(JOB_FILE.read_text, encoding="utf-8")
        job = await self._client.parse_job(self._hcl, variables)
        await self._client.put_variable(_variable(job_id), {"token": token})
        if await self._client.register(job):
            return
        known = await self._client.job(job_id)
        if known is not None and (known.get("Meta") or {}).get("ticket") != ticket:
            # Left by an installation that has lost its database: its reports cannot be received any more.
            log.warning("farm.nomad.stale_job", job=job_id)
            await self._client.stop(job_id, purge=True)
            await self._client.register(job)

    async def forget_token(self, job_id: str) -> None:
        """Deletes the token of an ended task; its job stays until it is purged by its age."""
        await self._client.delete_variable(_variable(job_id))

    async def purge_ended(self, in_hand: Container[str]) -> None:
        """Drops tickets and jobs that ended long ago, so that neither the table nor Nomad's memory grows."""
        await self._transfer.delete_expired()
        before_ns = (time.time() - self._options.keep_s) * 1e9
        jobs, _ = await self._client.jobs(f"{self._options.job.prefix}-")
        for job in jobs:
            old = job["Status"] == "dead" and int(job.get("SubmitTime") or 0) < before_ns
            if old and job["ID"] not in in_hand:
                await self._client.stop(job["ID"], purge=True)
                await self.forget_token(job["ID"])


def _variable(job_id: str) -> str:
    """Returns the path that only the tasks of this job can read."""
    return f"nomad/jobs/{job_id}"
