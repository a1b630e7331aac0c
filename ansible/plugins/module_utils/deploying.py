# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a job file to Nomad and waits until what it means runs; called by the action plugin nomad_job."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import EngineApi

RESTARTS = 3
"""So often may a task start anew while it is waited for, because what it needs may come up beside it."""
_EVERY_S = 0.5
_ATTEMPTS_EXCEEDED = "Exceeded allowed attempts"
"""So begins Nomad's reason (client/allocrunner/taskrunner/restarts) when it lets a task rest for long."""


class DeployError(Exception):
    """Nomad cannot place the job, or it does not become well; the text says why, as far as Nomad knows.

    `ended` is the allocation and the task that failed or ends again and again, if there is one.
    """

    def __init__(self, message: str, ended: tuple[str, str] | None = None) -> None:
        super().__init__(message)
        self.ended = ended


def plan_job(api: EngineApi, hcl: str, variables: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job that the file means with these variables, and Nomad's plan for it."""
    body = {"JobHCL": hcl, "Canonicalize": True, "Variables": assignments(variables)}
    job = api.post("/v1/jobs/parse", body)
    return job, api.post(f"/v1/job/{quote(job['ID'], safe='')}/plan", {"Job": job, "Diff": True})


def differs(plan: Mapping[str, Any]) -> bool:
    return plan["Diff"]["Type"] != "None"


def register(api: EngineApi, job: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    """Only over the version that the plan was made for: somebody else's change in between is not lost."""
    body = {"Job": job, "EnforceIndex": True, "JobModifyIndex": plan["JobModifyIndex"]}
    api.post("/v1/jobs", body)


def wait_until_well(api: EngineApi, job: Mapping[str, Any], deadline: float) -> list[str]:
    """The ids of its allocations, once as many of the newest version run and are healthy as it asks for.

    `deadline` is of time.monotonic(). A version that failed and was taken back is told at once, and so is a
    task that ends again and again.
    """
    path, expected = f"/v1/job/{quote(job['ID'], safe='')}", sum(one["Count"] for one in job["TaskGroups"])
    version = api.get(path)["Version"]
    before: dict[tuple[str, str], tuple[int, int]] = {}
    while True:
        now = api.get(path)["Version"]
        if now != version:
            raise DeployError(
                f"Version {version} of the job {job['ID']} did not become well; {now} is there."
            )
        ours = [one for one in api.get(f"{path}/allocations") if one["JobVersion"] == version]
        well = [one["ID"] for one in ours if _is_well(one)]
        if len(well) >= expected:
            return well
        newest = api.get(f"{path}/deployment") or {}
        failed = newest.get("JobVersion") == version and newest.get("Status") == "failed"
        ending = _ends_again_and_again(ours, before)
        if failed or ending or time.monotonic() > deadline:
            reasons = _reasons(ours) or _not_placed(api, path) or "Nomad gives no reason"
            count = f"{len(well)} of {expected} of the job {job['ID']}"
            raise DeployError(f"{count} run and are healthy: {reasons}.", ending or _ended(ours))
        time.sleep(_EVERY_S)


def wait_until_found(
    api: EngineApi, service: str, allocations: Sequence[str], deadline: float
) -> dict[str, Any]:
    """`address` and `port` of an instance of these allocations, once Consul's checks of it pass."""
    while True:
        for entry in api.get(f"/v1/health/service/{quote(service, safe='')}?passing"):
            found = entry["Service"]
            if any(one in found["ID"] for one in allocations):
                return {"address": found["Address"] or entry["Node"]["Address"], "port": found["Port"]}
        if time.monotonic() > deadline:
            raise DeployError(f"Consul knows no healthy instance of the service {service}.")
        time.sleep(_EVERY_S)


def assignments(variables: Mapping[str, Any]) -> str:
    """HCL, one line each. What JSON says HCL says too, but that `${` and `%{` begin a template: those stay
    as they are for the node to fill in.
    """
    lines = []
    for name, value in variables.items():
        text = json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
        lines.append(f"{name} = {text}")
    return "\n".join(lines)


def _is_well(allocation: Mapping[str, Any]) -> bool:
    going = (allocation["DesiredStatus"], allocation["ClientStatus"]) == ("run", "running")
    return going and bool((allocation.get("DeploymentStatus") or {}).get("Healthy"))


def _ends_again_and_again(
    allocations: Sequence[Mapping[str, Any]], before: dict[tuple[str, str], tuple[int, int]]
) -> tuple[str, str] | None:
    """Allocation and task that there is no use to wait for. `before` keeps how often each had started anew
    and what its last event was when it was first seen: what happened earlier says nothing of now.
    """
    for one in allocations:
        if one["DesiredStatus"] != "run":
            continue
        for task, state in (one.get("TaskStates") or {}).items():
            restarts, event = before.setdefault((one["ID"], task), (state["Restarts"], _last(state)[0]))
            if state["Restarts"] - restarts >= RESTARTS or (_last(state)[0] != event and _rests(state)):
                return one["ID"], task
        if one["ClientStatus"] == "failed" and not one.get("FollowupEvalID") and (ended := _ended([one])):
            return ended
    return None


def _rests(state: Mapping[str, Any]) -> bool:
    """Returns whether it ended so often that Nomad delays it for minutes."""
    return state["State"] == "pending" and _last(state)[1].startswith(_ATTEMPTS_EXCEEDED)


def _last(state: Mapping[str, Any]) -> tuple[int, str]:
    """Returns the time of a task's last event by its node's clock, and why it restarts, if it does."""
    event = (state.get("Events") or [{}])[-1]
    return event.get("Time", 0), (event.get("Details") or {}).get("restart_reason", "")


def _ended(allocations: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """The newest allocation, and its task that failed or starts anew."""
    newest = max(allocations, key=lambda one: int(one["CreateIndex"]), default={})
    tasks = (newest.get("TaskStates") or {}).items()
    for task, state in sorted(tasks, key=lambda one: not one[1].get("Failed")):
        if state.get("Failed") or state.get("Restarts"):
            return newest["ID"], task
    return None


def _reasons(allocations: Sequence[Mapping[str, Any]]) -> str:
    """Returns the last events of each task of the newest allocation."""
    newest = max(allocations, key=lambda one: int(one["CreateIndex"]), default={})
    lines = []
    for task, state in (newest.get("TaskStates") or {}).items():
        events = [one["DisplayMessage"] for one in state.get("Events") or [] if one.get("DisplayMessage")]
        lines.append(f"{task}: {'; '.join(events[-3:])}")
    return ", ".join(lines)[:1000]


def _not_placed(api: EngineApi, path: str) -> str:
    """Returns why the scheduler did not place it, counted over the nodes that it evaluated."""
    for evaluation in sorted(api.get(f"{path}/evaluations") or [], key=lambda one: -int(one["ModifyIndex"])):
        for group, metric in (evaluation.get("FailedTGAllocs") or {}).items():
            why = {**(metric.get("ConstraintFiltered") or {}), **(metric.get("DimensionExhausted") or {})}
            counted = ", ".join(f"{reason} ({count} nodes)" for reason, count in why.items())
            return f"no node for {group}: {counted or 'none that takes work is there'}"
    return ""
