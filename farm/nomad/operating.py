"""Runs the Nomad calls of an operator: drain, plan, deploy, scale; used by the agent's tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import nomad
import requests
import urllib3
from nomad.api.exceptions import BaseNomadException

from farm.nomad.address import engine_address
from farm.nomad.client import Json, NomadClient, path_part, refusal, strange_answer, unreachable
from soundstage.errors import Conflict, Upstream
from soundstage.http.engines import nomad_client

TIMEOUT_S = 15.0


class OperatorClient(NomadClient):
    """The calls of this class go through python-nomad, in a thread; those it inherits are the farm's own.
    Changes that Nomad took and did not answer raise `nomad.outcome_unknown`: callers must not assume that
    they were not made.
    """

    async def drain(self, node_id: str, deadline: timedelta) -> None:
        """The node takes nothing new, and what runs there is moved within `deadline`."""
        spec = {"Deadline": int(deadline.total_seconds() * 1e9), "IgnoreSystemJobs": False}
        await self._ask(
            lambda client: client.node.drain_node_with_spec(path_part(node_id), spec, mark_eligible=False),
            changes=True,
        )

    async def undrain(self, node_id: str) -> None:
        """The node takes work again; a drain that goes on is ended."""
        await self._ask(
            lambda client: client.node.drain_node_with_spec(path_part(node_id), None, mark_eligible=True),
            changes=True,
        )

    async def plan(self, job: Json) -> Json:
        """Returns what registering the job would do: `Diff`, `Annotations`, `FailedTGAllocs`,
        `JobModifyIndex`.
        """
        return await self._ask(
            lambda client: client.job.plan_job(path_part(job["ID"]), {"Job": job}, diff=True)
        )

    async def deploy(self, job: Json, planned_at: int) -> None:
        """Registers the job if it is still as it was when it was planned (`JobModifyIndex` of the plan);
        `nomad.job_changed` when it has been changed since.
        """
        try:
            body = {"Job": job, "EnforceIndex": True, "JobModifyIndex": planned_at}
            await self._ask(lambda client: client.jobs.register_job(body), changes=True)
        except Conflict as error:
            raise Conflict(
                "nomad.job_changed",
                f"The job {job['ID']} has been changed meanwhile. Nothing was deployed.",
                "Look at it, and deploy it again.",
            ) from error

    async def scale(self, job_id: str, group: str, count: int, reason: str) -> None:
        body = {"Count": count, "Target": {"Group": group}, "Message": reason}
        # The library has no verb for it.
        await self._ask(
            lambda client: client.job.request(path_part(job_id), "scale", json=body, method="post").json(),
            changes=True,
        )

    async def deploying(self, job_id: str) -> bool:
        """Returns whether a deployment of the job goes on: Nomad scales nothing during it."""
        newest = await self._ask(lambda client: client.job.get_deployment(path_part(job_id)) or {})
        return newest.get("Status") in (
            "running",
            "pending",
            "blocked",
            "paused",
            "unblocking",
        )

    async def end(self, job_id: str) -> None:
        """As `stop`, for a job that must be there."""
        await self._ask(lambda client: client.job.deregister_job(path_part(job_id)), changes=True)

    async def all_jobs(self) -> list[Json]:
        """Short forms of all jobs, by name."""
        found, _ = await self.jobs("")
        return sorted(found, key=lambda job: str(job["ID"]))

    async def why_not_placed(self, job_id: str) -> Mapping[str, Json]:
        """By group, what Nomad counted when it last found no place for it; empty when all is placed."""
        found, _ = await self._list(f"job/{path_part(job_id)}/evaluations")
        for evaluation in sorted(found, key=lambda one: int(one["CreateIndex"]), reverse=True):
            if evaluation.get("FailedTGAllocs"):
                return dict(evaluation["FailedTGAllocs"])
            if evaluation.get("Status") == "complete" and not evaluation.get("BlockedEval"):
                return {}
        return {}

    async def _ask(self, question: Callable[[nomad.Nomad], Any], *, changes: bool = False) -> Json:
        """Return the object that `question` returns. `changes`: its outcome matters when no answer comes."""

        def ask() -> Any:
            with nomad_client(engine_address(self._address), TIMEOUT_S) as client:
                return question(client)

        try:
            answer = await asyncio.to_thread(ask)
        except BaseNomadException as error:
            if isinstance(error.nomad_resp, requests.Response):
                raise refusal(error.nomad_resp.status_code, error.nomad_resp.text) from error
            if changes and not _never_sent(error.nomad_resp):
                raise _outcome_unknown() from error
            raise unreachable(error.nomad_resp) from error
        except requests.JSONDecodeError as error:
            raise _outcome_unknown() if changes else strange_answer("no JSON") from error
        except OSError as error:
            # A file of ours, such as a certificate, before anything was sent.
            raise unreachable(error) from error
        if not isinstance(answer, dict):
            raise _outcome_unknown() if changes else strange_answer("no object")
        return answer


def _never_sent(error: object) -> bool:
    """Returns whether no connection was made, so that Nomad cannot have taken the request."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    return isinstance(getattr(cause, "reason", None), urllib3.exceptions.NewConnectionError)


def _outcome_unknown() -> Upstream:
    return Upstream(
        "nomad.outcome_unknown",
        "Nomad took the request and did not answer: whether it was done is not known.",
        "Look at the farm before you ask for it again.",
    )
