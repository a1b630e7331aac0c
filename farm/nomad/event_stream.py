"""Follows Nomad's nodes, allocations and jobs without losing a change: a list, then the events after it,
and a new list after every break. Used by the Nomad scheduler.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from farm.nomad.client import STRANGE, NomadClient
from soundstage.background import Worker
from soundstage.backoff import Backoff
from soundstage.database import OUTAGES
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

if TYPE_CHECKING:
    from farm.nomad.event_handlers import ClusterEventHandler

TOPICS = ("Node", "Allocation", "Job")
RESYNC_S = 600.0
"""Listed again at least so often: Nomad drops events for a listener that is slower than its buffer
(`event_buffer_size`) and does not say so.
"""
RECONNECT = Backoff(first_s=0.25, longest_s=15.0)

MAY_PASS = frozenset(
    {
        *("nomad.unreachable", STRANGE, "nomad.forbidden", "nomad.token_unreadable"),
        *OUTAGES,
        *("database.busy", "database.too_many_connections"),
    }
)
"""Errors that pass or that an operator mends: the call is repeated until it succeeds."""

Json = dict[str, Any]
T = TypeVar("T")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Listing:
    """All nodes and allocations of the cluster, and our jobs. `requested_s` is when they were requested, on
    the monotonic clock.
    """

    requested_s: float
    nodes: list[Json]
    allocations: list[Json]
    jobs: list[Json]


class ClusterWatch:
    """`worker` lists and follows while it runs. `connected` is False while Nomad cannot be reached."""

    def __init__(self, client: NomadClient, prefix: str, handler: ClusterEventHandler) -> None:
        self._client = client
        self._prefix = f"{prefix}-"
        self._handler = handler
        self._known: dict[str, int] = {}
        """By topic, the index of the last list."""
        self._listed_s = 0.0
        self.connected = False
        self.last_error = ""
        self.worker = Worker("nomad events", self._follow, retries=RECONNECT)

    async def _follow(self) -> float:
        """Returns the delay before the next list when a stream ends; raises when there was none."""
        try:
            await self._list()
            self.connected, self.last_error = True, ""
            async for batch in self._client.events(TOPICS, min(self._known.values())):
                again = [self._handle(event) for event in batch.events]
                if any(again) or time.monotonic() - self._listed_s > RESYNC_S:
                    await self._list()
                elif batch.events:
                    self._handler.on_batch_end()
        except SoundstageError as error:
            was_connected, self.connected, self.last_error = self.connected, False, error.message
            if not was_connected:
                raise
            log.warning("farm.nomad.stream_lost", error=str(error))
        return RECONNECT.delay_s(1)

    async def _list(self) -> None:
        requested_s = time.monotonic()
        nodes, nodes_index = await self._client.nodes()
        allocations, allocations_index = await self._client.all_allocations()
        jobs, jobs_index = await self._client.jobs(self._prefix)
        self._known = {"Node": nodes_index, "Allocation": allocations_index, "Job": jobs_index}
        self._listed_s = requested_s
        self._handler.on_listing(Listing(requested_s, nodes, allocations, jobs))

    def _handle(self, event: Json) -> bool:
        topic, payload = str(event.get("Topic")), event.get("Payload") or {}
        if int(event.get("Index", 0)) <= self._known.get(topic, 0):
            return False  # the list has it already, and maybe what came after it
        if topic == "Node":
            if event.get("Type") == "NodeDeregistration":
                self._handler.node_gone(str(event["Key"]))
            elif (node := payload.get("Node")) is not None:
                return self._handler.node_changed(node)
        elif topic == "Allocation":
            if (allocation := payload.get("Allocation")) is not None:
                self._handler.allocation_changed(allocation)
        elif str(event.get("Key", "")).startswith(self._prefix):
            self._handler.job_changed(str(event.get("Type")), payload.get("Job") or {"ID": event["Key"]})
        return False


async def until_reachable(step: Callable[[], Awaitable[T]], report: Callable[[str], None]) -> T:
    """Returns what `step` returns. Repeats it while Nomad is away or refuses our token, which may have
    expired and is read anew each time, and while the database is away or has too many writers; any other
    error goes on.
    """
    failures = 0
    while True:
        try:
            found = await step()
            report("")
            return found
        except SoundstageError as error:
            if error.code not in MAY_PASS:
                raise
            report(error.message)
        failures += 1
        await asyncio.sleep(RECONNECT.delay_s(failures))
