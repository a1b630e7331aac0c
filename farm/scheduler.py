"""The protocol of every scheduler (the embedded local pool, Nomad); the studio sees only this."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Protocol

from farm.needs import Needs
from farm.outlook import Outlook
from farm.tasks import Placement, SegmentTask, TaskEvent


class Scheduler(Protocol):
    """Runs tasks. tests/farm/test_conformance.py checks every adapter.

    Unknown ids raise `NotFound("task.unknown")`. Nothing here raises for a task that fails: failure is an
    event.
    """

    @property
    def name(self) -> str: ...

    async def start(self) -> None:
        """Makes ready and ends what a killed predecessor left running. Called once, before `submit`."""

    async def submit(self, task: SegmentTask) -> Placement:
        """Takes the task; the same id again returns the placement of the first."""

    def watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        """All events from the first to the last (state done, failed or cancelled), then ends."""

    async def cancel(self, task_id: str, *, for_good: bool = False) -> None:
        """Asks for an end and returns at once; `watch` tells when it has come. Ended tasks are left as they
        are. for_good: nobody will try again, so what the worker has kept for that goes too.
        """

    async def forget(self, unfinished: Collection[str]) -> None:
        """Nobody will go on with work of these names (`SegmentTask.unfinished`), of which no submitted task
        runs: what an earlier process or try has left of it ends and goes, as far as it can be reached.
        """

    async def logs(self, task_id: str) -> str:
        """The last part of what the worker wrote on standard error."""

    async def explain(self, task_id: str) -> str:
        """Returns in one sentence why it is where it is."""

    async def outlook(self, needs: Needs, owner: str) -> Outlook:
        """Returns the places for a task with these needs. What runs or waits for `owner` (a trace) is left
        out: its places are its own.
        """

    def left_over(self, task_id: str) -> bool:
        """Returns whether an earlier process has left this task and nobody has submitted it since: submitted
        again under the same id it goes on where it is.
        """

    def leave(self) -> None:
        """This process ends and another one will go on. From now on `cancel` and `close` end only what
        cannot outlive us.
        """

    async def close(self) -> None:
        """Cancels what is left and waits until nothing runs."""
