"""Has the worker make small forms of videos and sounds: poster, storyboard, peaks, proxy.

Each is made once and kept as a blob that the owner of the original holds, so it goes when that goes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from avatar.spec import Failed, Finished

from farm.failures import CANCELLED, TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask, TaskInput, TaskKind
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id
from soundstage.errors import NotFound, SoundstageError
from studio.references.dropping import drop_late_holds
from studio.references.repository import References
from studio.renditions.keeping import run_and_keep
from studio.renditions.refusals import missing_rendition, rendition_refusals, rendition_stopped
from studio.renditions.single_flight import Bounds, SingleFlight
from studio.thumbnails.service import Thumbnails

SMALL = Bounds(running=2, pending=64, running_of_tenant=2, pending_of_tenant=16)
PROXIES = Bounds(running=1, pending=32, running_of_tenant=1, pending_of_tenant=4)
"""A proxy takes minutes; those of one tenant wait for one another, and not in the way of other kinds."""


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
        # Before segments: a user looks at a list. A proxy takes minutes, and waits its turn among them.
        RenditionKind.POSTER: _Recipe("poster", ("frame",), 60, 120.0),
        RenditionKind.STORYBOARD: _Recipe("storyboard", ("storyboard", "storyboard_index"), 40, 600.0),
        RenditionKind.PEAKS: _Recipe("peaks", ("peaks",), 40, 600.0),
        RenditionKind.PROXY: _Recipe("proxy", ("proxy",), 10, 3600.0),
    }
)

Files = Mapping[str, tuple[str, Path]]
"""Hash and path of each file of a rendition, by its role."""


class Renditions:
    """Makes renditions on request. `cancel`, `discard` and `close` apply to `thumbnails` too. `close` stops
    what is being made; the next request makes it again.
    """

    def __init__(self, db: Database, blobs: BlobStore, scheduler: Scheduler, thumbnails: Thumbnails) -> None:
        self._thumbnails = thumbnails
        self._db = db
        self._blobs = blobs
        self._scheduler = scheduler
        self._single_flights = {
            kind: SingleFlight(kind, PROXIES if kind is RenditionKind.PROXY else SMALL)
            for kind in RenditionKind
        }

    async def open(self, owner: str, sha256: str, kind: RenditionKind) -> Files:
        """Return the files of a rendition of a blob that `owner` holds; they are made at the first call, once
        for all owners of the blob.

        Raises Unavailable `rendition.not_ready` while they are made, `rendition.busy`, and with status 422
        what the worker says of a file that has no such rendition (`media.no_picture`, `media.no_sound` …).
        """
        if (found := await self._find_stored(owner, sha256, kind)) is not None:
            return found
        if (failure := self._single_flights[kind].recent_failure(sha256)) is not None:
            raise _as_error(failure)

        async def make(owners: Set[str]) -> None:
            await self._make(owners, sha256, kind)

        wait_s = RECIPES[kind].wait_s
        await self._single_flights[kind].wait(sha256, owner, make, wait_s, rendition_refusals(kind))
        if (found := await self._find_stored(owner, sha256, kind)) is not None:
            return found
        raise await missing_rendition(self._db, owner, sha256)

    async def cancel(self, owners: Collection[str]) -> None:
        """Makes nothing more for them; work for no other owner has ended when this returns."""
        for single_flight in self._single_flights.values():
            await single_flight.cancel(owners)
        await self._thumbnails.cancel(owners)

    async def discard(self, owners: Collection[str]) -> None:
        """Cancels renditions and thumbnails of deleted owners, and releases references that they took
        meanwhile.
        """
        await self.cancel(owners)
        await drop_late_holds(self._db, self._blobs, owners)

    async def close(self) -> None:
        for single_flight in self._single_flights.values():
            await single_flight.close()
        await self._thumbnails.close()

    async def _make(self, owners: Set[str], sha256: str, kind: RenditionKind) -> None:
        recipe = RECIPES[kind]
        task = SegmentTask(
            id=new_id(kind),
            kind=recipe.task,
            inputs=(TaskInput(sha256, "media"),),
            priority=recipe.priority,
            time_limit_s=recipe.time_limit_s,
        )

        async def hold(result: Finished) -> None:
            await self._hold(owners, sha256, kind, result)

        try:
            await run_and_keep(self._db, self._blobs, self._scheduler, task, hold)
        except TaskFailed as error:
            self._single_flights[kind].remember(sha256, error.failure)
            raise _as_error(error.failure) from error

    async def _hold(self, owners: Set[str], sha256: str, kind: RenditionKind, result: Finished) -> None:
        """Let those owners hold the files that still hold the original."""
        async with self._db.transaction() as session:
            references = References(session)
            for owner in sorted(owners):
                if sha256 in await references.sizes_of(owner):
                    for file in result.files:
                        if file.role in RECIPES[kind].roles:
                            await references.hold(owner, _role(file.role, sha256), file.sha256, file.bytes)

    async def _find_stored(self, owner: str, sha256: str, kind: RenditionKind) -> Files | None:
        """Return its files, also those that were made for another owner of the same blob."""
        if (found := await self._stored(owner, sha256, kind)) is not None:
            return found
        roles = {_role(role, sha256) for role in RECIPES[kind].roles}
        async with self._db.transaction() as session:
            references = References(session)
            if sha256 not in await references.sizes_of(owner):
                return None
            shared = await references.sibling_holds(sha256, roles)
            if not shared:
                return None
            for role, (result, size) in shared.items():
                await references.hold(owner, role, result, size)
        return await self._stored(owner, sha256, kind)

    async def _stored(self, owner: str, sha256: str, kind: RenditionKind) -> Files | None:
        async with self._db.session() as session:
            held = dict(await References(session).holds_of_owner(owner))
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


def _role(role: str, sha256: str) -> str:
    return f"{role}:{sha256.removeprefix('sha256:')[:12]}"


def _as_error(failure: Failed) -> SoundstageError:
    if failure.code == CANCELLED.code:
        return rendition_stopped()
    return SoundstageError(failure.code, failure.message, failure.hint, status=422)
