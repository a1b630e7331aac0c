"""Has the worker make small forms of videos and sounds: poster, storyboard, peaks, proxy.

Each is made once and kept as a blob that the owner of the original holds, so it goes when that goes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from avatar.spec import Failed

from farm.failures import CANCELLED, CRASHED, RETRYABLE, TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask, TaskInput, TaskKind
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id
from soundstage.errors import NotFound, SoundstageError, Unavailable
from soundstage.telemetry.logs import get_logger
from studio.references.repository import References
from studio.renders.running import run_task

MAX_PENDING = 64
"""Renditions that are made or wait to be; more are refused, for each holds a place in memory."""
FAILED_FOR_S = 600.0
MAX_FAILED = 1000


class RenditionKind(StrEnum):
    POSTER = "poster"
    STORYBOARD = "storyboard"
    PEAKS = "peaks"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True)
class _Recipe:
    """`roles` are those of the files that the worker makes; `wait_s` is how long a request waits for them."""

    task: TaskKind
    roles: tuple[str, ...]
    priority: int
    time_limit_s: float
    wait_s: float = 20.0


RECIPES: Mapping[RenditionKind, _Recipe] = MappingProxyType(
    {
        # Before segments: somebody looks at a list. A proxy takes minutes, and waits its turn among them.
        RenditionKind.POSTER: _Recipe("poster", ("frame",), 60, 120.0),
        RenditionKind.STORYBOARD: _Recipe("storyboard", ("storyboard", "storyboard_index"), 40, 600.0),
        RenditionKind.PEAKS: _Recipe("peaks", ("peaks",), 40, 600.0),
        RenditionKind.PROXY: _Recipe("proxy", ("proxy",), 10, 3600.0),
    }
)

Files = Mapping[str, tuple[str, Path]]
"""Hash and path of each file of a rendition, by its role."""


class Renditions:
    """`close` with the process: what is in the making is stopped, and made again when it is asked for."""

    def __init__(self, db: Database, blobs: BlobStore, scheduler: Scheduler) -> None:
        self._db = db
        self._blobs = blobs
        self._scheduler = scheduler
        self._places = {
            kind: asyncio.Semaphore(1 if kind is RenditionKind.PROXY else 2) for kind in RenditionKind
        }
        self._making: dict[tuple[str, str, RenditionKind], asyncio.Task[None]] = {}
        self._failed: dict[tuple[str, RenditionKind], tuple[float, Failed]] = {}
        self._log = get_logger(__name__)

    async def open(self, owner: str, sha256: str, kind: RenditionKind) -> Files:
        """Return the files of a rendition of a blob that `owner` holds; they are made at the first call.

        Raises Unavailable `rendition.not_ready` while they are made, `rendition.busy`, and with status 422
        what the worker says of a file that has no such rendition (`media.no_picture`, `media.no_sound` …).
        """
        if (found := await self._stored(owner, sha256, kind)) is not None:
            return found
        self._refuse_known_failure(sha256, kind)
        making = self._started(owner, sha256, kind)
        # Whoever gives up waiting does not end what others wait for.
        done, _ = await asyncio.wait({making}, timeout=RECIPES[kind].wait_s)
        if not done:
            raise Unavailable(
                "rendition.not_ready",
                f"The {kind} is being made.",
                "Ask again in a few seconds.",
                headers={"Retry-After": "5"},
            )
        making.result()
        if (found := await self._stored(owner, sha256, kind)) is None:
            raise NotFound("rendition.gone", "The original was deleted meanwhile.", "Upload it again.")
        return found

    async def close(self) -> None:
        tasks = tuple(self._making.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _started(self, owner: str, sha256: str, kind: RenditionKind) -> asyncio.Task[None]:
        key = (owner, sha256, kind)
        if (making := self._making.get(key)) is None:
            if len(self._making) >= MAX_PENDING:
                raise Unavailable(
                    "rendition.busy",
                    f"{MAX_PENDING} posters, storyboards, waveforms and proxies are being made already.",
                    "Ask again in a minute.",
                    headers={"Retry-After": "60"},
                )
            making = asyncio.create_task(self._make(owner, sha256, kind), name=f"{kind} of {owner}")
            self._making[key] = making
            making.add_done_callback(lambda task: self._ended(key, task))
        return making

    def _ended(self, key: tuple[str, str, RenditionKind], task: asyncio.Task[None]) -> None:
        del self._making[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            level = self._log.info if isinstance(error, SoundstageError) else self._log.error
            level("no rendition could be made", kind=key[2], owner=key[0], why=str(error))

    async def _make(self, owner: str, sha256: str, kind: RenditionKind) -> None:
        recipe = RECIPES[kind]
        task = SegmentTask(
            id=new_id(kind),
            kind=recipe.task,
            inputs=(TaskInput(sha256, "media"),),
            priority=recipe.priority,
            time_limit_s=recipe.time_limit_s,
        )
        async with self._places[kind]:
            try:
                made = await run_task(self._scheduler, task, lambda _: None)
            except TaskFailed as error:
                self._remember(sha256, kind, error.failure)
                raise _as_error(error.failure) from error
        async with self._db.transaction() as session:
            references = References(session)
            # What was deleted meanwhile holds nothing any more.
            if any(held == sha256 for _, held in await references.held_by(owner)):
                for file in made.files:
                    if file.role in recipe.roles:
                        await references.hold(owner, _role(file.role, sha256), file.sha256, file.bytes)

    async def _stored(self, owner: str, sha256: str, kind: RenditionKind) -> Files | None:
        async with self._db.session() as session:
            held = dict(await References(session).held_by(owner))
        found: dict[str, tuple[str, Path]] = {}
        for role in RECIPES[kind].roles:
            if (one := held.get(_role(role, sha256))) is None:
                return None
            try:
                found[role] = one, await self._blobs.local_path(one)
            except NotFound:
                # Lost from the store: it is made again.
                return None
        return found

    def _remember(self, sha256: str, kind: RenditionKind, failure: Failed) -> None:
        # What crashes the worker does it again; what a machine was to blame for need not.
        if failure.code == CANCELLED.code or failure.code in RETRYABLE - {CRASHED}:
            return
        if len(self._failed) >= MAX_FAILED:
            self._failed.pop(next(iter(self._failed)))
        self._failed[sha256, kind] = time.monotonic(), failure

    def _refuse_known_failure(self, sha256: str, kind: RenditionKind) -> None:
        """A file that cannot be read does not become readable by a worker for each request."""
        at, failure = self._failed.get((sha256, kind), (0.0, None))
        if failure is not None:
            if time.monotonic() - at < FAILED_FOR_S:
                raise _as_error(failure)
            del self._failed[sha256, kind]


def _role(role: str, sha256: str) -> str:
    return f"{role}:{sha256.removeprefix('sha256:')[:12]}"


def _as_error(failure: Failed) -> SoundstageError:
    if failure.code == CANCELLED.code:
        return Unavailable("rendition.stopped", "The worker was stopped.", "Ask again.")
    return SoundstageError(failure.code, failure.message, failure.hint, status=422)
