"""Tells how far a render is while it is made: its state, its progress, and why it waits. For the maker."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from avatar.spec import LipsyncSpec, PreviewFrame, RenderSpec

from farm.scheduler import Scheduler
from farm.states import TaskState
from farm.tasks import TaskEvent
from soundstage.background import until_set
from soundstage.blobs import Blob, BlobStore
from soundstage.database import Database
from soundstage.database.tenants import bypass_tenant_filter, require_tenant
from soundstage.errors import SoundstageError
from soundstage.tasks import wait_all
from soundstage.telemetry import get_logger
from studio.references.repository import References
from studio.renders.journal import RenderJournal
from studio.renders.progress import ProgressBoard
from studio.renders.running import Ending
from studio.renders.schemas import Preview, Progress
from studio.renders.segments import SegmentPool, segment_key
from studio.renders.states import RenderState

log = get_logger(__name__)

REPORT_S = 0.5
LAST_TRIES = 3
WAITS = "waits: "
"""How a scheduler's sentence on a waiting task begins."""


ROLE = "preview"
JPEG_BEGINS = b"\xff\xd8\xff"


class Previews:
    """Keeps the latest picture of a render in the making, and only that one, in the blob store.

    The last one stays with its render: a client that has just received its address may still ask for it.
    """

    def __init__(self, db: Database, blobs: BlobStore) -> None:
        self._db = db
        self._blobs = blobs

    async def keep(self, render_id: str, line: PreviewFrame) -> Preview | None:
        """Stores the picture in the place of the one before; None for what is no JPEG."""
        try:
            jpeg = base64.b64decode(line.jpeg, validate=True)
        except binascii.Error:
            return None
        if not jpeg.startswith(JPEG_BEGINS):
            return None
        blob = await self._blobs.put_bytes(jpeg, "image/jpeg")
        await self._replace(render_id, blob)
        return Preview(
            scene=line.scene,
            frame=line.frame,
            sha256=blob.sha256,
            # The number is there for browsers, which would show a picture of the same address again.
            url=f"/api/renders/{render_id}/preview?frame={line.frame}",
        )

    async def _replace(self, render_id: str, new: Blob) -> None:
        owner = f"render:{render_id}"
        async with self._db.transaction() as session:
            references = References(session)
            held = await references.holds_of_owner(owner)
            old = {sha256 for role, sha256 in held if role == ROLE} - {new.sha256}
            if old:
                await references.drop_holds(owner, old)
            await references.hold(owner, ROLE, new.sha256, new.bytes)
            # Another render that is made of the same scene shows the same picture.
            with bypass_tenant_filter():
                free = old - await references.filter_held_by_others(old, ())
        for sha256 in free:
            await self._blobs.delete(sha256)


@dataclass(slots=True)
class Making:
    """State of one render while it is made."""

    render_id: str
    kind: str
    title: str
    spec: RenderSpec | LipsyncSpec
    scene_id: str | None
    priority: int
    trace_id: str | None
    out_files: tuple[str, ...]
    board: ProgressBoard
    ending: Ending
    spec_sha256: str = ""
    running: bool = False
    """A worker has begun, at whatever part of it."""
    at_work: set[str] = field(default_factory=set)
    """Tasks that a worker has now."""
    segments: tuple[str, ...] = ()
    """Keys of the segments that it is made of, once they are asked for."""
    task_id: str | None = None
    """The last task of its own, which no other render shares."""
    last_report: tuple[Progress, str] | None = None
    reported: bool = False
    defect: str = ""
    """The unexpected error of the last report: logged once, not at every report."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, event: TaskEvent) -> None:
        """Handles an event of a task. The first worker that runs makes the render run; reported at once."""
        if event.state is not TaskState.RUNNING:
            self.at_work.discard(event.task_id)
            return
        self.at_work.add(event.task_id)
        if not self.running:
            self.running = True
            self.changed.set()


@dataclass
class Reporter:
    """`worker_version` is part of the keys of segments."""

    journal: RenderJournal
    blobs: BlobStore
    scheduler: Scheduler
    pool: SegmentPool
    worker_version: str

    def __post_init__(self) -> None:
        self._previews = Previews(self.journal.db, self.blobs)

    @asynccontextmanager
    async def reporting(self, making: Making) -> AsyncIterator[None]:
        """Reports progress while the block runs, and the rest when it ends."""
        reporter = asyncio.create_task(self._report(making))
        try:
            yield
        finally:
            making.reported = True
            making.changed.set()
            await wait_all([reporter])

    async def _report(self, making: Making) -> None:
        """Reports until the render has ended, and then once more. Ended by a flag and not by cancelling
        it, which would cut through the writing of a row.
        """
        while not making.reported:
            await self._report_if_possible(making)
            await until_set(making.changed, REPORT_S)
            making.changed.clear()
        # After the last one none tells what it could not.
        for _ in range(LAST_TRIES):
            if await self._report_if_possible(making):
                return
            await asyncio.sleep(REPORT_S)

    async def _report_if_possible(self, making: Making) -> bool:
        """The next report tells more; the work itself must not end for one that cannot be written."""
        try:
            await self._report_once(making)
            return True
        except (OSError, SoundstageError) as error:
            log.warning("render.report_failed", render=making.render_id, error=str(error))
        except Exception as error:
            if repr(error) != making.defect:
                log.exception("render.report_failed", render=making.render_id)
            making.defect = repr(error)
        return False

    async def _report_once(self, making: Making) -> None:
        if making.running:
            await self.journal.move_if(
                making.render_id, frozenset({RenderState.DISPATCHED}), RenderState.RUNNING
            )
        if (line := making.board.take_preview()) is not None:
            preview = await self._previews.keep(making.render_id, line)
            making.board.preview = preview or making.board.preview
        waits = "" if making.at_work else await self._explain(making)
        progress = making.board.snapshot().model_copy(update={"nodes": self._nodes(making)})
        report = (progress, waits)
        notices = making.board.fresh_notices
        if report != making.last_report or notices:
            await self.journal.progress(making.render_id, progress, notices, waits)
            making.last_report = report
            making.board.mark_reported(notices)

    def _nodes(self, making: Making) -> list[str]:
        """Returns the names of the nodes whose workers have its tasks now."""
        names = {self.scheduler.node_of(task_id) for task_id in making.at_work}
        return sorted(names - {""})

    async def _explain(self, making: Making) -> str:
        """Returns why the first of its parts that waits does so; "" when none does.

        A task without a worker may also have one whose first event is on its way, or be between two tries.
        """
        if making.task_id is not None:
            why = await self.scheduler.explain(making.task_id)
            if making.board.stage == "assemble":
                why = why.replace(WAITS, f"{WAITS}all frames are drawn, to be joined when a worker is free: ")
            return why if why.startswith(WAITS) else ""
        if isinstance(making.spec, RenderSpec):
            for scene in making.spec.scenes:
                key = segment_key(making.spec.scene_hash(scene.id), self.worker_version, require_tenant())
                if (why := await self.pool.explain(key)).startswith(WAITS):
                    return why
        return ""
