"""From how a worker or its allocation ended to what people are told."""

from __future__ import annotations

from typing import Any

from avatar.spec import Failed, Finished
from avatar.spec.work import WorkEnd

from farm.local.process import ProcessEnd
from farm.local.verdict import Reading, failure_of


def outcome_of(end: WorkEnd, *, program: str, time_limit_s: float) -> Finished | Failed:
    """The result, or why there is none. The end must not be one of a cancelled worker."""
    if end.fault is not None:
        return end.fault
    reading = Reading()
    reading.result, reading.failure, reading.garbage = end.result, end.failure, end.garbage
    ended = ProcessEnd(end.returncode, end.ended_by)
    failure = failure_of(ended, reading, program=program, time_limit_s=time_limit_s)
    if failure is None and end.result is not None:
        return end.result
    return failure or LOST


LOST = Failed(
    code="worker.lost",
    message="The worker is gone and has left no word.",
    hint="It is tried again; if it stays, look at the node.",
)
STOPPED = Failed(
    code="farm.job_stopped",
    message="The job of this step was stopped on the cluster.",
    hint="Retry the render when that was not meant.",
)


def failure_of_allocation(allocation: dict[str, Any]) -> Failed:
    """For an allocation that ended without a report of its worker: what Nomad says of its task."""
    if allocation.get("ClientStatus") == "lost":
        return LOST
    node = allocation.get("NodeName") or "the node"
    for state in (allocation.get("TaskStates") or {}).values():
        for event in reversed(state.get("Events") or ()):
            detail = str(event.get("DisplayMessage") or event.get("Message") or "")[:300]
            kind = event.get("Type")
            if (event.get("Details") or {}).get("oom_killed") == "true" or kind == "OOM Killed":
                return Failed(
                    code="worker.killed",
                    message=f"The worker on {node} was killed: it took more memory than it had asked for.",
                    hint="Raise the memory of this engine, or make the picture smaller.",
                )
            if kind in ("Driver Failure", "Setup Failure", "Failed Validation", "Template"):
                return Failed(
                    code="worker.not_started",
                    message=f"The worker could not be started on {node}: {detail.rstrip('.')}.",
                    hint="Check farm.nomad.command and farm.nomad.driver on that node.",
                )
            if kind == "Terminated":
                return Failed(
                    code="worker.crashed",
                    message=f"The worker on {node} ended without a word: {detail.rstrip('.')}.",
                    hint="Retry; if it stays, read the log of the render.",
                )
    return LOST
