"""Schedulers under test. A new adapter joins the conformance suite by one more value of `scheduler_kind`."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from farm.local import LocalOptions, LocalScheduler
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask, TaskEvent
from soundstage.blobs import BlobStore

sys.path.insert(0, str(Path(__file__).parent))
from farm_on_nomad import (
    client,
    cluster,
    control,
    nomad_address,
    nomad_clusters,
    nomad_options,
    nomad_scheduler,
)

__all__ = [
    "client",
    "cluster",
    "control",
    "nomad_address",
    "nomad_clusters",
    "nomad_options",
    "nomad_scheduler",
]

STAND_IN = Path(__file__).with_name("stand_in.py")
MakeTask = Callable[..., Awaitable[SegmentTask]]


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore.open(tmp_path / "blobs")


@pytest.fixture
def local_options(tmp_path: Path, worker_cache: Path) -> LocalOptions:
    return LocalOptions(
        command=(sys.executable, "-I", "-S", str(STAND_IN)),
        work_dir=tmp_path / "work",
        cache_dir=worker_cache,
        concurrency=2,
        grace_s=1.0,
    )


@pytest.fixture
async def local_scheduler(blobs: BlobStore, local_options: LocalOptions) -> AsyncIterator[LocalScheduler]:
    created = LocalScheduler(blobs, local_options)
    await created.start()
    yield created
    await created.close()


@pytest.fixture(params=["local", pytest.param("nomad", marks=pytest.mark.root)])
def scheduler(request: pytest.FixtureRequest) -> Scheduler:
    """Each adapter in turn; the fixture `<name>_scheduler` makes it."""
    created: Scheduler = request.getfixturevalue(f"{request.param}_scheduler")
    return created


@pytest.fixture
def worker_cache(tmp_path: Path) -> Path:
    """Where workers of either scheduler keep what may be made again; see `local_options`, `nomad_options`."""
    return tmp_path / "cache"


@pytest.fixture
def make_task(blobs: BlobStore) -> MakeTask:
    """A segment task whose scene says `script`; see stand_in.py for what scripts can order."""

    async def make(task_id: str, script: str = "hello", **more: Any) -> SegmentTask:
        spec = {"scenes": [{"id": "one", "script": script}], "of": task_id}
        blob = await blobs.put_bytes(json.dumps(spec).encode(), "application/json")
        fields: dict[str, Any] = {"kind": "segment", "scene_id": "one", **more}
        return SegmentTask(id=task_id, spec_sha256=blob.sha256, **fields)

    return make


@pytest.fixture
def watched() -> Callable[[Scheduler, str], Awaitable[list[TaskEvent]]]:
    async def watch(scheduler: Scheduler, task_id: str) -> list[TaskEvent]:
        return [event async for event in scheduler.watch(task_id)]

    return watch
