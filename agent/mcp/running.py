"""Calls that take longer than a client should wait: the caller gets a ticket, and they go on; for McpCalls.

Nothing of it is written down: a ticket ends with the process. The audit record knows how each call ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import types

from agent.tools.toolset import ToolCall
from soundstage.database import new_id
from soundstage.errors import Conflict, NotFound, SoundstageError
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger

Work = Coroutine[Any, Any, types.CallToolResult]


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Limits: the wait of a client, the calls at once, and how long results are stored."""

    wait_s: float = 2.0
    running_each: int = 16
    running: int = 200
    result_ttl_s: float = 600.0
    results_each: int = 32
    closing_s: float = 20.0


@dataclass(slots=True, eq=False)
class RunningCall:
    """A call of one caller. Its task ends with a result, or cancelled, and with no other error."""

    id: str
    owner: str
    call: ToolCall
    trace_id: str
    task: asyncio.Task[types.CallToolResult]
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


class RunningCalls:
    """The calls of one process, by their tickets."""

    def __init__(self, limits: CallLimits | None = None) -> None:
        self._limits = limits or CallLimits()
        self._calls: dict[str, RunningCall] = {}
        self._forgetting: dict[str, asyncio.TimerHandle] = {}
        self._log = get_logger(__name__)

    async def begin(self, owner: str, call: ToolCall, trace_id: str, work: Work) -> RunningCall:
        """The call when it has ended, or has taken as long as a client should wait.

        A client that goes away until then ends it. Raises `mcp.too_many_calls` before anything has begun.
        """
        try:
            self._make_room(owner)
        except SoundstageError:
            work.close()
            raise
        running = RunningCall(new_id("call"), owner, call, trace_id, asyncio.create_task(work))
        self._calls[running.id] = running
        try:
            await self.wait(running)
        except asyncio.CancelledError:
            # The SDK cancels anew in each round of the loop, which would keep the processor busy.
            with anyio.CancelScope(shield=True):
                await cancel_all([running.task])
            self._calls.pop(running.id, None)
            raise
        if running.task.done():
            self._calls.pop(running.id, None)
        else:
            running.task.add_done_callback(lambda _: self._ended(running))
        return running

    async def wait(self, running: RunningCall) -> None:
        """Waits for its end, as long as a client should wait. A client that stops waiting does not end it."""
        await asyncio.wait([running.task], timeout=self._limits.wait_s)

    def find(self, owner: str, call_id: str) -> RunningCall:
        """The caller's own. Raises `mcp.no_such_call` for those of others as for those that never were."""
        found = self._calls.get(call_id)
        if found is None or found.owner != owner:
            raise NotFound(
                "mcp.no_such_call",
                f"There is no call {call_id[:80]!r} whose result is kept for you.",
                f"A result is kept for {self._limits.result_ttl_s / 60:.0f} minutes, and no longer than the "
                "server runs. `soundstage trace ID`, with the trace that came with the ticket, tells how it "
                "ended.",
            )
        return found

    @staticmethod
    def refuse_ended(running: RunningCall) -> None:
        """Raises `mcp.call_ended` when there is nothing left to cancel."""
        if running.task.done():
            raise Conflict("mcp.call_ended", f"{running.id} has ended already.", "show_call has its result.")

    async def cancel(self, running: RunningCall) -> None:
        """Ends it, and waits for its cleaning up, as long as a client should wait."""
        self.refuse_ended(running)
        running.task.cancel()
        await self.wait(running)

    async def close(self) -> None:
        """Ends what still runs, lets it clean up, and forgets all results."""
        tasks = {one.task for one in self._calls.values() if not one.task.done()}
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=self._limits.closing_s)
            if left:
                self._log.error("calls over MCP did not end", calls=len(left))
        for timer in self._forgetting.values():
            timer.cancel()
        self._forgetting.clear()
        self._calls.clear()

    def _make_room(self, owner: str) -> None:
        owners = [one.owner for one in self._calls.values() if not one.task.done()]
        if owners.count(owner) >= self._limits.running_each or len(owners) >= self._limits.running:
            raise SoundstageError(
                "mcp.too_many_calls",
                f"{owners.count(owner)} of your calls are running, and {len(owners)} in all.",
                "Wait until one has ended (show_call), or end one (cancel_call).",
                429,
            )

    def _ended(self, running: RunningCall) -> None:
        """Its result is kept for a while; of a caller's results the latest ones."""
        if running.id not in self._calls:
            return
        loop = asyncio.get_running_loop()
        self._forgetting[running.id] = loop.call_later(self._limits.result_ttl_s, self._forget, running.id)
        stored = [one for one in self._forgetting if self._calls[one].owner == running.owner]
        for oldest in stored[: -self._limits.results_each]:
            self._forget(oldest)

    def _forget(self, call_id: str) -> None:
        self._forgetting.pop(call_id).cancel()
        del self._calls[call_id]
