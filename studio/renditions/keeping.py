"""Makes files that stay only if they are referenced; used by renditions, thumbnails and pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from avatar.spec import Finished, RenderSpec

from farm.scheduler import Scheduler
from farm.tasks import SegmentTask
from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.tasks import finish
from studio.references.dropping import drop_unheld
from studio.references.repository import References
from studio.renders.running import run_task


async def run_and_keep(
    db: Database,
    blobs: BlobStore,
    scheduler: Scheduler,
    task: SegmentTask,
    hold: Callable[[Finished], Awaitable[None]],
) -> None:
    """Runs the task, lets `hold` add references to its files, and deletes those without one. Raises
    TaskFailed. When it is cancelled, all of that ends before it goes on.
    """

    async def keep(result: Finished) -> None:
        try:
            await hold(result)
        finally:
            for file in result.files:
                await drop_unheld(db, blobs, file.sha256)

    late: list[Finished] = []
    try:
        result = await run_task(scheduler, task, lambda _: None, on_late=late.append)
    except asyncio.CancelledError:
        for one in late:
            await keep(one)
        raise
    # When it is cancelled, `hold` looks itself at who is left.
    await finish(keep(result))


async def run_spec_and_keep(
    db: Database,
    blobs: BlobStore,
    scheduler: Scheduler,
    spec: RenderSpec,
    task: SegmentTask,
    hold: Callable[[Finished], Awaitable[None]],
) -> None:
    """As `run_and_keep`, for a task that needs a spec: it is stored for as long as the task runs."""
    stored = await blobs.put_bytes(spec.model_dump_json().encode(), "application/json")
    async with db.transaction() as session:
        promise = await References(session).promise(stored.sha256)
    try:
        await run_and_keep(db, blobs, scheduler, replace(task, spec_sha256=stored.sha256), hold)
    finally:
        async with db.transaction() as session:
            await References(session).release(promise)
        await drop_unheld(db, blobs, stored.sha256)
