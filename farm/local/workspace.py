"""The folder of one task: inputs are linked in before the worker starts, outputs go to the blob store when it
is done.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from avatar.spec import Failed, Finished, OutputFile

from farm.failures import TaskFailed
from farm.local import orphans
from farm.local.commands import SPEC_FILE
from farm.tasks import SegmentTask
from soundstage.blobs import BlobStore
from soundstage.errors import Invalid, NotFound

RECORD_FILE = "worker.json"
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


class Workspace:
    """`folder` holds everything the worker touches; its removal leaves nothing behind."""

    def __init__(self, folder: Path, blobs: BlobStore) -> None:
        self.folder = folder
        self._blobs = blobs

    @property
    def record(self) -> Path:
        return self.folder / RECORD_FILE

    async def prepare(self, task: SegmentTask) -> None:
        """Links the spec and the inputs, and fetches what the spec names; raises NotFound when the spec or an
        input is gone.
        """
        await asyncio.to_thread(self._make_folders)
        if task.spec_sha256 is not None:
            await self._link(task.spec_sha256, SPEC_FILE)
        for required in task.inputs:
            await self._link(required.sha256, required.path)
        for sha256 in await media_named(task, self._blobs):
            await self._fetch(sha256)

    async def _fetch(self, sha256: str) -> None:
        """The worker reads it below the store's root, where a bucket has it only once it was asked for."""
        try:
            await self._blobs.local_path(sha256)
        except NotFound:
            # The worker says which field of the spec named it, which we cannot.
            return

    def _make_folders(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "out").mkdir(parents=True)

    async def _link(self, sha256: str, inside: str) -> None:
        check_inside(inside)
        source = await self._blobs.local_path(sha256)
        await asyncio.to_thread(_symlink, source, self.folder / inside)

    async def collect(self, result: Finished) -> Finished:
        """Puts every promised file into the blob store; raises TaskFailed when a file is missing or
        differs.
        """
        return result.model_copy(update={"files": tuple([await self._store(file) for file in result.files])})

    async def _store(self, file: OutputFile) -> OutputFile:
        path = (self.folder / file.path).resolve()
        if not path.is_relative_to(self.folder.resolve()) or not await asyncio.to_thread(path.is_file):
            raise TaskFailed(
                _bad(f"The worker promised {file.role} in {path.name}, and the file is not there.")
            )
        blob = await self._blobs.put_file(path, file.media_type)
        if blob.sha256 != file.sha256:
            raise TaskFailed(_bad(f"The worker's {file.role} file is not the one whose hash it gave."))
        return file.model_copy(update={"path": path.name, "bytes": blob.bytes})

    async def remove(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)


def check_inside(path: str) -> None:
    """Raises Invalid for the path of an input that leaves the task's folder."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts:
        raise Invalid(
            "task.bad_path",
            f"The input path {path!r} leaves the task's folder.",
            "Name a path inside it, without `..`.",
        )


def _symlink(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.resolve())


def _bad(message: str) -> Failed:
    return Failed(
        code="worker.bad_output", message=message, hint="Retry; if it stays, read the worker's log."
    )


def sweep(work_dir: Path) -> Sequence[str]:
    """Ends workers whose control process was killed and removes their folders; returns the names of those
    processes.

    `work_dir` holds one folder per control process; those of processes that live are left alone.
    """
    swept = []
    for owner in sorted(path for path in work_dir.glob("*") if path.is_dir()):
        if orphans.owner_lives(owner.name):
            continue
        for record in (orphans.read_record(path) for path in owner.glob(f"*/{RECORD_FILE}")):
            if record is not None:
                orphans.end_processes(record)
        shutil.rmtree(owner, ignore_errors=True)
        swept.append(owner.name)
    return swept


async def media_named(task: SegmentTask, blobs: BlobStore) -> list[str]:
    """Their hashes, each once, stored or not; for a segment those of its scene only."""
    if task.spec_sha256 is None:
        return []
    spec: Any = json.loads(await blobs.read(task.spec_sha256))
    if task.kind == "segment" and isinstance(spec, dict):
        scenes = [scene for scene in spec.get("scenes", ()) if scene.get("id") == task.scene_id]
        spec = {**spec, "scenes": scenes}
    return sorted(set(_hashes_in(spec)))


def _hashes_in(value: Any) -> Iterator[str]:
    """Every `sha256:…` in a JSON value, but for the evidence of consents, which no worker needs."""
    if isinstance(value, str):
        if _HASH.fullmatch(value):
            yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            if name != "evidence":
                yield from _hashes_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _hashes_in(item)
