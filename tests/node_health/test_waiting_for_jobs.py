"""Detection of crash loops while a job is awaited, with recorded answers of the API."""

from __future__ import annotations

import time
from typing import Any

import pytest
from deploying import DeployError, wait_until_well

JOB = {"ID": "sleeper", "TaskGroups": [{"Count": 1}]}
RESTS = "Exceeded allowed attempts 2 in interval 1m0s and mode is delay"


def task(state: str, restarts: int = 0, at: int = 1, why: str = "", failed: bool = False) -> dict[str, Any]:
    event = {"Time": at, "DisplayMessage": why or state, "Details": {"restart_reason": why}}
    return {"State": state, "Restarts": restarts, "Failed": failed, "Events": [event]}


def allocation(name: str, client: str, tasks: dict[str, Any], *, healthy: bool = False) -> dict[str, Any]:
    return {
        "ID": name,
        "JobVersion": 1,
        "CreateIndex": 7,
        "DesiredStatus": "run",
        "ClientStatus": client,
        "DeploymentStatus": {"Healthy": healthy},
        "TaskStates": tasks,
    }


class EventLog:
    """Answers one list of allocations after the other, the last for ever."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self._answers = list(answers)

    def get(self, path: str) -> Any:
        if path.endswith("/allocations"):
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return (
            None if path.endswith("/deployment") else [] if path.endswith("/evaluations") else {"Version": 1}
        )

    def post(self, path: str, body: Any) -> Any:
        raise AssertionError("nothing is written while it is waited")


def wait_for_job(*answers: list[dict[str, Any]], seconds: float = 60) -> list[str]:
    return wait_until_well(EventLog(*answers), JOB, time.monotonic() + seconds)


def test_a_rest_from_before_it_was_waited_for_is_none() -> None:
    rests = allocation("a", "pending", {"sleep": task("pending", 2, at=5, why=RESTS)})
    well = allocation("a", "running", {"sleep": task("running", 2, at=6)}, healthy=True)
    assert wait_for_job([rests], [rests], [well]) == ["a"]


def test_a_rest_that_begins_meanwhile_is_told_at_once() -> None:
    starts = allocation("a", "running", {"sleep": task("running", 2, at=4)})
    rests = allocation("a", "pending", {"sleep": task("pending", 2, at=5, why=RESTS)})
    with pytest.raises(DeployError) as error:
        wait_for_job([starts], [rests])
    assert error.value.ended == ("a", "sleep")


def test_a_failed_allocation_without_a_failed_task_hides_none_after_it() -> None:
    lost = allocation("lost", "failed", {})
    crashed = allocation("crashed", "failed", {"sleep": task("dead", failed=True)})
    before = time.monotonic()
    with pytest.raises(DeployError) as error:
        wait_for_job([lost, crashed], seconds=30)
    assert error.value.ended == ("crashed", "sleep") and time.monotonic() - before < 15
