"""Registers jobs of tasks as soon as they can run, and stops them; used by the Nomad scheduler."""

from __future__ import annotations

import asyncio
import time

from farm.failures import CANCELLED, failure_from_error
from farm.nomad.event_stream import until_reachable
from farm.nomad.inflight import InFlightTask
from farm.nomad.outcomes import Outcomes
from farm.nomad.request import job_id
from farm.nomad.state import SchedulerState
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger, metrics
from soundstage.tracing import span

log = get_logger(__name__)


class Launcher:
    """Launches and stops tasks; `launch_ready` is called whenever there may be room."""

    def __init__(self, state: SchedulerState) -> None:
        self._state = state
        self.outcomes = Outcomes(state, self.launch_ready)

    def launch_ready(self) -> None:
        """Launches queued tasks that can run now. Others stay with us: Nomad holds queued jobs in memory."""
        state = self._state
        if state.detaching:
            return
        for task_id, choice in state.placer.admit(state.options.max_running - len(state.inflight_tasks)):
            name = job_id(state.options.job.prefix, task_id)
            inflight = InFlightTask(state.registry.get(task_id), name, choice)
            self.track(inflight)
            state.background.start(self.launch(inflight), inflight.record.context)

    def track(self, inflight: InFlightTask) -> None:
        """Adds it to the in-flight tasks and subscribes to the reports of its worker."""
        self._state.inflight_tasks.add(inflight)
        self._state.transfer.listen(
            inflight.record.task.id, lambda report: self.outcomes.on_report(inflight, report)
        )

    async def launch(self, inflight: InFlightTask) -> None:
        """Registers its job, however long Nomad is away."""
        inflight.launches += 1

        def report_error(message: str) -> None:
            inflight.last_error = message

        try:
            await until_reachable(lambda: self._register(inflight), report_error)
        except (OSError, SoundstageError) as error:
            self.outcomes.end(inflight, failure_from_error(error))
            return
        if inflight.cancelling:
            await self.stop(inflight)

    async def stop(self, inflight: InFlightTask) -> None:
        """Stops its job and waits until nothing of it runs; after `cancel_s` without an event it counts as
        gone.
        """
        if not inflight.registered:
            return
        client = self._state.client
        try:
            async with asyncio.timeout(self._state.options.cancel_s):
                await until_reachable(lambda: client.stop(inflight.job_id), lambda message: None)
                if not await client.allocations(inflight.job_id):
                    self.outcomes.end(inflight, CANCELLED)
                await inflight.released.wait()
        except (TimeoutError, SoundstageError) as error:
            log.warning("farm.nomad.stop_unconfirmed", task=inflight.record.task.id, error=str(error))
            self.outcomes.end(inflight, CANCELLED)

    async def _register(self, inflight: InFlightTask) -> None:
        if inflight.cancelling:
            self.outcomes.end(inflight, CANCELLED)
            return
        # Before the call: it may be through on the server and fail on its way back.
        inflight.registered = inflight.registering = True
        began_s, task = time.monotonic(), inflight.record.task
        with span("dispatch job", {"soundstage.nomad.job": inflight.job_id}):
            await self._state.registration.register(task, inflight.job_id, inflight.choice)
        inflight.registering, inflight.registered_s = False, time.monotonic()
        metrics.NOMAD_DISPATCH.observe(inflight.registered_s - began_s, trace=task.trace_id)
