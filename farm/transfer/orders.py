"""Turns a task into the order that a worker on another machine can carry out."""

from __future__ import annotations

from pathlib import Path

from avatar.spec.unfinished import VARIABLE
from avatar.spec.work import BLOBS_PLACE, CACHE_PLACE, WorkBlob, WorkFile, WorkOrder

from farm.local.commands import SPEC_FILE, worker_arguments
from farm.local.workspace import check_inside, media_named
from farm.tasks import SegmentTask
from soundstage.blobs import BlobStore
from soundstage.errors import NotFound
from soundstage.tracing import TRACEPARENT


async def order_of(
    task: SegmentTask, blobs: BlobStore, *, grace_s: float, upload_timeout_s: float
) -> WorkOrder:
    """Raises NotFound for an input that is gone, Invalid for a path that leaves the task's folder."""
    files = [] if task.spec_sha256 is None else [await _file(blobs, task.spec_sha256, SPEC_FILE)]
    for task_input in task.inputs:
        files.append(await _file(blobs, task_input.sha256, task_input.path))
    return WorkOrder(
        task_id=task.id,
        arguments=tuple(worker_arguments(task, blobs=Path(BLOBS_PLACE), cache=Path(CACHE_PLACE))),
        files=tuple(files),
        blobs=tuple(await _media(task, blobs)),
        environment=_environment(task),
        time_limit_s=task.time_limit_s,
        grace_s=grace_s,
        patience_s=upload_timeout_s,
    )


def _environment(task: SegmentTask) -> dict[str, str]:
    named = {VARIABLE: task.unfinished, TRACEPARENT: task.traceparent}
    return {name: value for name, value in named.items() if value}


async def _file(blobs: BlobStore, sha256: str, path: str) -> WorkFile:
    check_inside(path)
    found = await blobs.stat(sha256)
    if found is None:
        raise NotFound("blob.not_found", f"No file with the hash {sha256} is stored.", "Upload it first.")
    return WorkFile(sha256=sha256, bytes=found.bytes, path=path)


async def _media(task: SegmentTask, blobs: BlobStore) -> list[WorkBlob]:
    """The files that the spec names, of this scene only. One that is gone is left out: the worker says which
    field named it, which we cannot.
    """
    found = []
    for sha256 in await media_named(task, blobs):
        stored = await blobs.stat(sha256)
        if stored is not None:
            found.append(WorkBlob(sha256=sha256, bytes=stored.bytes))
    return found
