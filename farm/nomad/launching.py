"""Brings tasks to Nomad as soon as they can run there, and takes them back; used by the Nomad scheduler."""

from __future__ import annotations

import asyncio
import time

from farm.failures import CANCELLED, failure_from_error
from farm.nomad.flight import Flight
from farm.nomad.outcomes import Outcomes
from farm.nomad.request import job_id
from farm.nomad.tower import Tower
from farm.nomad.watching import until_reachable
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

log = get_logger(__name__)


class Launcher:
    """`release` is called whenever there may be room."""

    def __init__(self, tower: Tower) -> None:
        self._tower = tower
        self.outcomes = Outcomes(tower, self.release)

    def release(self) -> None:
        """Only what can run goes to Nomad: it keeps all that waits in the memory of its servers."""
        tower = self._tower
        if tower.leaving:
            return
        for task_id, choice in tower.placer.admit(tower.options.max_running - len(tower.flights)):
            name = job_id(tower.options.job.prefix, task_id)
            flight = Flight(tower.ledger.story(task_id), name, choice)
            self.take(flight)
            tower.errands.begin(self.launch(flight))

    def take(self, flight: Flight) -> None:
        """From now on it is on the farm's side, and its worker is listened to."""
        self._tower.flights.add(flight)
        self._tower.transfer.listen(flight.story.task.id, lambda report: self.outcomes.hear(flight, report))

    async def launch(self, flight: Flight) -> None:
        """Registers its job, however long Nomad is away."""
        flight.launches += 1

        def trouble(said: str) -> None:
            flight.trouble = said

        try:
            await until_reachable(lambda: self._register(flight), trouble)
        except (OSError, SoundstageError) as error:
            self.outcomes.end(flight, failure_from_error(error))
            return
        if flight.cancelling:
            await self.stop(flight)

    async def stop(self, flight: Flight) -> None:
        """Until nothing of it runs; after `cancel_s` without news of it, it counts as gone."""
        if not flight.registered:
            return
        client = self._tower.client
        try:
            async with asyncio.timeout(self._tower.options.cancel_s):
                await until_reachable(lambda: client.stop(flight.job_id), lambda said: None)
                if not await client.allocations(flight.job_id):
                    self.outcomes.end(flight, CANCELLED)
                await flight.settled.wait()
        except (TimeoutError, SoundstageError) as error:
            log.warning("farm.nomad.stop_unconfirmed", task=flight.story.task.id, error=str(error))
            self.outcomes.end(flight, CANCELLED)

    async def _register(self, flight: Flight) -> None:
        if flight.cancelling:
            self.outcomes.end(flight, CANCELLED)
            return
        # Before the call: it may be through on the server and fail on its way back.
        flight.registered = flight.registering = True
        await self._tower.registration.register(flight.story.task, flight.job_id, flight.choice)
        flight.registering, flight.registered_s = False, time.monotonic()
