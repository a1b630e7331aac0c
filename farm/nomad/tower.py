"""What the parts of the Nomad scheduler share: who is in the air, who waits for a place, and the ways to
Nomad and to the workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from farm.ledger import Ledger
from farm.nomad.client import NomadClient
from farm.nomad.errands import Errands
from farm.nomad.flight import Flight
from farm.nomad.placer import Placer
from farm.nomad.registration import NomadOptions, Registration
from farm.tasks import SegmentTask
from farm.transfer import TransferService


class Flights:
    """Tasks on the farm's side, by their ids and by the names of their jobs."""

    def __init__(self) -> None:
        self._by_task: dict[str, Flight] = {}
        self._by_job: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._by_task)

    def __iter__(self) -> Iterator[Flight]:
        return iter([*self._by_task.values()])

    def __contains__(self, job_id: object) -> bool:
        """By the name of its job."""
        return job_id in self._by_job

    def add(self, flight: Flight) -> None:
        self._by_task[flight.story.task.id] = flight
        self._by_job[flight.job_id] = flight

    def drop(self, flight: Flight) -> None:
        self._by_task.pop(flight.story.task.id, None)
        self._by_job.pop(flight.job_id, None)

    def find(self, task_id: str) -> Flight | None:
        return self._by_task.get(task_id)

    def of_job(self, job_id: str) -> Flight | None:
        return self._by_job.get(job_id)

    def tasks(self) -> dict[str, SegmentTask]:
        """By the names of their jobs."""
        return {name: flight.story.task for name, flight in self._by_job.items()}


@dataclass(slots=True)
class Tower:
    """`unclaimed` are tasks of an earlier process that nobody has asked for yet; `leaving` says that another
    process will go on.
    """

    client: NomadClient
    transfer: TransferService
    registration: Registration
    placer: Placer
    options: NomadOptions
    ledger: Ledger = field(default_factory=Ledger)
    flights: Flights = field(default_factory=Flights)
    errands: Errands = field(default_factory=Errands)
    unclaimed: set[str] = field(default_factory=set)
    leaving: bool = False
