"""A node whose disk is full: it says so, and the next try goes to another node."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually, eventually_async

from farm.failures import RETRYABLE
from farm.needs import Needs
from farm.nomad import NomadAddress, NomadClient, NomadScheduler
from farm.states import TaskState
from farm.tasks import TaskInput

pytestmark = pytest.mark.root

MIB = 1 << 20
NEEDS = Needs(engine="lips", gpus=1, vram_mib=4096, cpu_mhz=200, memory_mib=128)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def worker(nomad_options: Any, small_disk: Path, tmp_path: Path) -> Path:
    """The worker program; on the node `full` it keeps its inputs on the small disk."""
    program = tmp_path / "worker"
    program.write_text(
        "#!/bin/sh\n"
        f'case "$NOMAD_ALLOC_DIR" in */full/*) ln -s {small_disk} "$NOMAD_ALLOC_DIR/cache";; esac\n'
        f'exec {nomad_options.job.command} "$@"\n'
    )
    program.chmod(0o755)
    return program


@pytest.fixture
async def scheduler(
    nomad_clusters: Callable[..., Any], control: Any, nomad_options: Any, worker: Path
) -> AsyncIterator[NomadScheduler]:
    cluster = nomad_clusters("disks")
    # The smallest card that is enough is taken first: the one of the node without room.
    for name, model, memory_mib in (("full", "RTX 4060", 8188), ("roomy", "RTX 4090", 24564)):
        card = {"uuid": f"GPU-{name}-of-the-disks", "model": model, "memory_mib": memory_mib}
        node = cluster.add_client(name, [card])
        await asyncio.to_thread(
            eventually, lambda node=node: cluster.devices(node), f"the card of {name} to be announced", 120
        )
    client = NomadClient(NomadAddress(cluster.server.address))
    # Each node keeps its inputs where its allocation lies, as it does unless the settings say otherwise.
    job = replace(nomad_options.job, command=str(worker), cache_dir="")
    created = NomadScheduler(client, control.blobs, control.transfer, replace(nomad_options, job=job))
    await created.start()
    await eventually_async(lambda: len(created.placer.table.nodes) == 2, "both nodes in the list")
    yield created
    await created.close()


async def test_a_full_disk_is_named_and_the_next_tries_go_to_another_node(
    scheduler: Any, make_task: Any, blobs: Any
) -> None:
    footage = await blobs.put_bytes(b"x" * 2 * MIB)
    task = await make_task("a.1", needs=NEEDS, inputs=(TaskInput(footage.sha256, "footage"),))
    await scheduler.submit(task)
    failure = (await last_event(scheduler, "a.1")).failure
    assert failure is not None and failure.code == "disk.full" and failure.code in RETRYABLE
    assert "disk of the node is full" in failure.message
    for later in ("a.2", "a.3", "a.4"):
        await scheduler.submit(replace(task, id=later))
        assert (await last_event(scheduler, later)).state is TaskState.DONE


async def last_event(scheduler: Any, task_id: str) -> Any:
    async with asyncio.timeout(120):
        return [event async for event in scheduler.watch(task_id)][-1]
