"""What only a real cluster can show of the Nomad scheduler."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from farm.states import TaskState

pytestmark = pytest.mark.root


async def test_a_task_runs_on_the_cluster_and_its_files_come_back(
    scheduler: Any, make_task: Any, watched: Any, blobs: Any
) -> None:
    await scheduler.submit(await make_task("a"))
    events = await watched(scheduler, "a")
    states = [state for state, _ in itertools.groupby(event.state for event in events)]
    print(events[-1], await scheduler.logs("a"))
    assert states == [TaskState.QUEUED, TaskState.PLACED, TaskState.RUNNING, TaskState.DONE]
    for file in events[-1].result.files:
        assert len(await blobs.read(file.sha256)) == file.bytes
