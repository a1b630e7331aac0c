"""Has a waiting worker make small things of scenes while a person edits, and caches them in memory."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from avatar.spec import Finished, RenderSpec, content_hash

from farm.failures import TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask, TaskKind
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id
from soundstage.database.tenants import require_tenant
from soundstage.errors import Unavailable
from studio.renditions.keeping import run_spec_and_keep
from studio.renditions.refusals import rendition_refusals, rendition_stopped
from studio.renditions.single_flight import Bounds, SingleFlight

WAIT_S = 20.0
BOUNDS = Bounds(running=2, pending=32, running_of_tenant=1, pending_of_tenant=8)
CACHED_BYTES = 32 << 20

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PreviewKind(Generic[Result]):
    """`name` stands in messages, `no_worker` makes the error for a missing program; `read` turns the worker's
    files, by role, into the result, of which `size` counts the bytes. The most urgent kind has the highest
    `priority`.
    """

    name: str
    task: TaskKind
    priority: int
    time_limit_s: float
    read: Callable[[Mapping[str, bytes]], Result]
    size: Callable[[Result], int]
    no_worker: Callable[[str], Unavailable]
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScenePreviews(Generic[Result]):
    """`program` is the worker that must be on this machine; None where the farm runs it elsewhere. `close`
    with the process.
    """

    kind: PreviewKind[Result]
    db: Database
    blobs: BlobStore
    scheduler: Scheduler
    program: str | None = None
    _cache: OrderedDict[tuple[str, str], Result] = field(default_factory=OrderedDict)
    _single_flight: SingleFlight = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_single_flight", SingleFlight(self.kind.name, BOUNDS))

    async def open(
        self, spec: RenderSpec, scene_id: str, *arguments: str, variables: tuple[str, ...] = ()
    ) -> tuple[str, Result]:
        """Returns the key of the spec's scene with these arguments of the worker, and what was made of it.

        Raises the worker's own codes, `no_worker` of the kind, and Unavailable `rendition.busy`,
        `rendition.not_ready` and `rendition.stopped`.
        """
        key = content_hash([spec.model_dump(mode="json"), *arguments])
        if (found := self.find(key)) is not None:
            return key, found
        if self.program is not None and shutil.which(self.program) is None:
            raise self.kind.no_worker(self.program)
        if (failure := self._single_flight.recent_failure(key)) is not None:
            raise TaskFailed(failure).as_error(502)

        async def make(_: Set[str]) -> None:
            task = SegmentTask(
                id=new_id(self.kind.task),
                kind=self.kind.task,
                scene_id=scene_id,
                arguments=arguments,
                priority=self.kind.priority,
                time_limit_s=self.kind.time_limit_s,
                variables=variables,
            )
            await self._make(key, spec, task)

        refusals = rendition_refusals(self.kind.name)
        await self._single_flight.wait(key, f"scene:{scene_id}", make, WAIT_S, refusals)
        if (found := self.find(key)) is None:
            raise rendition_stopped()
        return key, found

    def find(self, key: str) -> Result | None:
        """Returns what was made before, for the same tenant."""
        place = require_tenant(), key
        if (found := self._cache.get(place)) is not None:
            self._cache.move_to_end(place)
        return found

    async def close(self) -> None:
        """Ends what is being made."""
        await self._single_flight.close()

    async def _make(self, key: str, spec: RenderSpec, task: SegmentTask) -> None:
        """Has a worker make it, and caches the result; nothing stays in the store."""
        place = require_tenant(), key

        async def read(result: Finished) -> None:
            hashes: dict[str, str] = {
                file.role: file.sha256 for file in result.files if file.role in self.kind.roles
            }
            if len(hashes) == len(self.kind.roles):
                files = {role: await self.blobs.read(sha256) for role, sha256 in hashes.items()}
                self._remember(place, self.kind.read(files))

        try:
            await run_spec_and_keep(self.db, self.blobs, self.scheduler, spec, task, read)
        except TaskFailed as error:
            self._single_flight.remember(key, error.failure)
            raise error.as_error(502) from error

    def _remember(self, place: tuple[str, str], result: Result) -> None:
        self._cache[place] = result
        while sum(map(self.kind.size, self._cache.values())) > CACHED_BYTES:
            self._cache.popitem(last=False)
