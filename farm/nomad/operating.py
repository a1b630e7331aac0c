"""What an operator asks of Nomad beside what the farm does by itself: drain, plan, deploy, scale; used by the
agent's tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

import httpx

from farm.nomad.client import STRANGE, Json, NomadClient
from soundstage.errors import Conflict, SoundstageError, Unavailable, Upstream

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class OperatorClient(NomadClient):
    """Changes that Nomad took and did not answer raise `nomad.outcome_unknown`: nobody may take them for
    undone.
    """

    async def drain(self, node_id: str, deadline: timedelta) -> None:
        """The node takes nothing new, and what runs there is moved within `deadline`."""
        spec = {"Deadline": int(deadline.total_seconds() * 1e9), "IgnoreSystemJobs": False}
        body = {"DrainSpec": spec, "MarkEligible": False}
        await self._change("POST", f"node/{quote(node_id, safe='')}/drain", body)

    async def undrain(self, node_id: str) -> None:
        """The node takes work again; a drain that goes on is ended."""
        body = {"DrainSpec": None, "MarkEligible": True}
        await self._change("POST", f"node/{quote(node_id, safe='')}/drain", body)

    async def plan(self, job: Json) -> Json:
        """What registering the job would do: `Diff`, `Annotations`, `FailedTGAllocs`, `JobModifyIndex`."""
        return await self._json("POST", f"job/{quote(job['ID'], safe='')}/plan", {"Job": job, "Diff": True})

    async def deploy(self, job: Json, planned_at: int) -> None:
        """Registers the job if it is still as it was when it was planned (`JobModifyIndex` of the plan);
        `nomad.job_changed` when somebody has changed it since.
        """
        try:
            await self._change(
                "POST", "jobs", {"Job": job, "EnforceIndex": True, "JobModifyIndex": planned_at}
            )
        except Conflict as error:
            raise Conflict(
                "nomad.job_changed",
                f"Somebody has changed the job {job['ID']} meanwhile. Nothing was deployed.",
                "Look at it, and deploy it again.",
            ) from error

    async def scale(self, job_id: str, group: str, count: int, reason: str) -> None:
        body = {"Count": count, "Target": {"Group": group}, "Message": reason}
        await self._change("POST", f"job/{quote(job_id, safe='')}/scale", body)

    async def deploying(self, job_id: str) -> bool:
        """Whether a deployment of the job goes on: Nomad scales nothing meanwhile."""
        newest = await self._json("GET", f"job/{quote(job_id, safe='')}/deployment")
        return newest.get("Status") in (
            "running",
            "pending",
            "blocked",
            "paused",
            "unblocking",
        )

    async def end(self, job_id: str) -> None:
        """As `stop`, for a job that must be there."""
        await self._change("DELETE", f"job/{quote(job_id, safe='')}")

    async def all_jobs(self) -> list[Json]:
        """Short forms of all jobs, by name."""
        found, _ = await self.jobs("")
        return sorted(found, key=lambda job: str(job["ID"]))

    async def why_not_placed(self, job_id: str) -> Mapping[str, Json]:
        """By group, what Nomad counted when it last found no place for it; empty when all is placed."""
        found, _ = await self._list(f"job/{quote(job_id, safe='')}/evaluations")
        for evaluation in sorted(found, key=lambda one: int(one["CreateIndex"]), reverse=True):
            if evaluation.get("FailedTGAllocs"):
                return dict(evaluation["FailedTGAllocs"])
            if evaluation.get("Status") == "complete" and not evaluation.get("BlockedEval"):
                return {}
        return {}

    async def _change(self, method: str, path: str, body: Json | None = None) -> None:
        try:
            await self._json(method, path, body)
        except Unavailable as error:
            if _may_be_done(error):
                raise Upstream(
                    "nomad.outcome_unknown",
                    "Nomad took the request and did not answer: whether it was done is not known.",
                    "Look at the farm before you ask for it again.",
                ) from error
            raise


def _may_be_done(error: SoundstageError) -> bool:
    """Whether it was sent: only the cause knows."""
    if error.code == STRANGE:
        return True
    cause = error.__cause__
    return isinstance(cause, httpx.HTTPError) and not isinstance(cause, _NOT_SENT)
