"""Follows Nomad's allocations and jobs without losing one: a list, then the events after it, and a new list
after every break.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from farm.nomad.backoff import Backoff
from farm.nomad.client import NomadClient
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

TOPICS = ("Allocation", "Job")

log = get_logger(__name__)


class Follower(Protocol):
    """Who hears of changes. `listed` is called with everything that is there, also for what is gone."""

    async def listed(self, jobs: dict[str, dict[str, Any]]) -> None: ...

    def allocation_changed(self, allocation: dict[str, Any]) -> None: ...

    def job_changed(self, kind: str, job: dict[str, Any]) -> None: ...


class ClusterWatch:
    """`run` never ends by itself. `connected` is False while Nomad cannot be reached."""

    def __init__(self, client: NomadClient, prefix: str, follower: Follower) -> None:
        self._client = client
        self._prefix = f"{prefix}-"
        self._follower = follower
        self.connected = False
        self.trouble = ""

    async def run(self) -> None:
        backoff = Backoff()
        while True:
            try:
                after = await self._list()
                self.connected, self.trouble = True, ""
                backoff.reset()
                async for batch in self._client.events(TOPICS, after):
                    for event in batch.events:
                        self._hear(event)
            except SoundstageError as error:
                if self.connected:
                    log.warning("farm.nomad.stream_lost", error=str(error))
                self.connected, self.trouble = False, error.message
            await backoff.pause()

    async def _list(self) -> int:
        """The index that the list was true at: events after it are all that is missing."""
        jobs, index = await self._client.jobs(self._prefix)
        await self._follower.listed({job["ID"]: job for job in jobs})
        return index

    def _hear(self, event: dict[str, Any]) -> None:
        payload = event.get("Payload") or {}
        if (allocation := payload.get("Allocation")) is not None:
            if str(allocation.get("JobID", "")).startswith(self._prefix):
                self._follower.allocation_changed(allocation)
        elif str(event.get("Key", "")).startswith(self._prefix):
            self._follower.job_changed(str(event.get("Type")), payload.get("Job") or {"ID": event["Key"]})


async def until_reachable(step: Callable[[], Awaitable[None]], trouble: Callable[[str], None]) -> None:
    """Repeats `step` while Nomad is away; any other error goes on."""
    backoff = Backoff()
    while True:
        try:
            await step()
            trouble("")
            return
        except SoundstageError as error:
            if error.code != "nomad.unreachable":
                raise
            trouble(error.message)
        await backoff.pause()


async def cancel_all(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
