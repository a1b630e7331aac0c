"""The protocol of every scheduler (the embedded local pool, Nomad); the studio sees only this."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Protocol

from farm.needs import Needs
from farm.tasks import SegmentTask, TaskEvent

MAX_PLACES = 64


@dataclass(frozen=True, slots=True)
class FarmAvailability:
    """`places` are the times (POSIX seconds) from which one task at a time can run, one entry per place, the
    soonest first; places without an estimate are left out. `ahead` are the tasks queued before it.
    """

    places: tuple[float, ...] = ()
    ahead: tuple[SegmentTask, ...] = ()


class Scheduler(Protocol):
    """Runs tasks. tests/farm/test_conformance.py checks every adapter.

    Unknown ids raise `NotFound("task.unknown")`. Nothing here raises for a task that fails: failure is an
    event.
    """

    @property
    def name(self) -> str: ...

    async def start(self) -> None:
        """Makes ready. A killed predecessor may have left tasks running: an adapter whose tasks outlive the
        process (Nomad) takes them over, any other one ends them. Called once, before `submit`.
        """

    async def submit(self, task: SegmentTask) -> None:
        """Queues the task. Submitting the same id again starts nothing."""

    def watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        """Yields all events from the first to the last (state done, failed or cancelled), then ends."""

    async def cancel(self, task_id: str, *, for_good: bool = False) -> None:
        """Requests the end of a task and returns at once; `watch` yields its last event. Ended tasks stay as
        they are. for_good: there will be no retry, so the files for one are deleted, too.
        """

    async def set_priority(self, task_ids: Collection[str], priority: int) -> None:
        """Moves those of the tasks that wait to where this priority has them; a task with a worker, and one
        that is unknown here, stays as it is.
        """

    async def discard_unfinished(self, names: Collection[str]) -> None:
        """Discards unfinished work with these names (`SegmentTask.unfinished`), for which no submitted task
        runs: ends what an earlier process or try has left running and deletes its files, where it can.
        """

    async def logs(self, task_id: str) -> str:
        """Returns the last part of what the worker wrote on standard error."""

    async def explain(self, task_id: str) -> str:
        """Returns in one sentence why it is where it is."""

    def node_of(self, task_id: str) -> str:
        """Returns the name of the node whose worker has this task; "" while none has."""

    async def availability(self, needs: Needs, owner: str) -> FarmAvailability:
        """Returns the availability for a task with these needs. Tasks of `owner` (a trace) are left out:
        their places are its own.
        """

    def is_unclaimed(self, task_id: str) -> bool:
        """Returns whether an earlier process has left this task running or done, and it was not submitted
        since: submitting the same id re-attaches to it.
        """

    def detach(self) -> None:
        """Detaches this process from its tasks, because another one will take over. From now on `cancel` and
        `close` end only tasks that cannot outlive the process.
        """

    async def close(self) -> None:
        """Cancels what is left and waits until nothing runs."""
