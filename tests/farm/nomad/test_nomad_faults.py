"""What goes wrong between a control plane, Nomad and its nodes, and how the work goes on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import FrameProgress

from farm.failures import RETRYABLE
from farm.nomad import NomadAddress, NomadClient, NomadScheduler
from farm.nomad.inflight import InFlightTask
from farm.nomad.request import PlacementHint
from farm.states import TaskState
from soundstage.errors import Unavailable

pytestmark = pytest.mark.root


async def until(scheduler: Any, task_id: str, state: TaskState, *, frames: bool = False) -> None:
    async with asyncio.timeout(60):
        async for event in scheduler.watch(task_id):
            if event.state is state and (not frames or isinstance(event.line, FrameProgress)):
                return
            assert not event.last, event


async def ended(scheduler: Any, task_id: str, seconds: float = 120) -> Any:
    async with asyncio.timeout(seconds):
        return [event async for event in scheduler.watch(task_id)][-1]


def processes_with(text: str) -> list[int]:
    """Of all on this machine; a worker's command line names its task."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if text in (entry / "cmdline").read_text().replace("\0", " "):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


async def test_a_cancelled_task_leaves_no_process_and_no_job_that_runs(
    scheduler: Any, client: NomadClient, make_task: Any, nomad_options: Any
) -> None:
    await scheduler.submit(await make_task("long", "!family 60"))
    await until(scheduler, "long", TaskState.RUNNING, frames=True)
    name = f"{nomad_options.job.prefix}-long"
    (allocation,) = await client.allocations(name)
    assert processes_with(allocation["ID"])
    began = time.monotonic()
    await scheduler.cancel("long")
    assert (await ended(scheduler, "long")).state is TaskState.CANCELLED
    assert time.monotonic() - began < 55, "ten on a machine that is not busy, and its work takes a minute"
    assert processes_with(allocation["ID"]) == []
    job = await client.job(name)
    assert job is not None and job["Stop"]


async def test_work_waits_for_a_database_that_has_too_many_writers(
    scheduler: Any, control: Any, make_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control.database._queue, "_timeout_s", 0.2)
    async with control.database.transaction():
        await scheduler.submit(await make_task("a"))
        await asyncio.sleep(1.5)
    last = await ended(scheduler, "a")
    assert last.state is TaskState.DONE, last


async def test_the_token_is_neither_in_the_job_nor_in_a_process_list_and_void_afterwards(
    scheduler: Any, client: NomadClient, make_task: Any, nomad_options: Any, nomad_address: NomadAddress
) -> None:
    await scheduler.submit(await make_task("secret", "!slow 60"))
    await until(scheduler, "secret", TaskState.RUNNING)
    name = f"{nomad_options.job.prefix}-secret"
    variable = await client._json("GET", f"var/nomad/jobs/{name}")
    token = variable["Items"]["token"]
    assert len(token) > 40
    assert token not in str(await client.job(name)) + str(await client.allocations(name))
    assert processes_with(token) == []
    await scheduler.cancel("secret")
    await ended(scheduler, "secret")
    async with asyncio.timeout(60):
        while True:
            try:
                await client._json("GET", f"var/nomad/jobs/{name}")
            except Exception as error:
                assert "not_found" in str(error)
                break


async def test_a_worker_works_on_while_the_control_plane_is_away(
    scheduler: Any, control: Any, make_task: Any
) -> None:
    await scheduler.submit(await make_task("a", "!slow 2"))
    await until(scheduler, "a", TaskState.RUNNING, frames=True)
    await control.stop()
    await asyncio.sleep(4)
    await control.start()
    last = await ended(scheduler, "a")
    assert last.state is TaskState.DONE, last.failure


async def test_a_task_without_a_report_ends_though_the_database_is_busy(
    client: NomadClient, control: Any, make_task: Any, nomad_options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, failures = control.transfer.end_of, [Unavailable("database.busy", "Busy.", "Again.")] * 2

    async def sometimes(task_id: str) -> Any:
        if failures:
            raise failures.pop()
        return await read(task_id)

    monkeypatch.setattr(control.transfer, "end_of", sometimes)
    job = replace(nomad_options.job, command="/no/such/program", program=())
    scheduler = NomadScheduler(client, control.blobs, control.transfer, replace(nomad_options, job=job))
    await scheduler.start()
    await scheduler.submit(await make_task("a", "Never begun."))
    last = await ended(scheduler, "a")
    assert last.state is TaskState.FAILED and not failures
    await scheduler.close()


async def test_a_task_whose_reports_all_went_to_another_process_is_done(
    scheduler: Any, control: Any, make_task: Any
) -> None:
    await scheduler.submit(await make_task("elsewhere", "!slow 2"))
    await until(scheduler, "elsewhere", TaskState.PLACED)
    control.transfer.ignore("elsewhere")
    last = await ended(scheduler, "elsewhere")
    assert last.state is TaskState.DONE, last


async def test_the_next_process_takes_over_what_runs_and_what_has_ended_meanwhile(
    client: NomadClient, nomad_address: NomadAddress, control: Any, make_task: Any, nomad_options: Any
) -> None:
    first = NomadScheduler(client, control.blobs, control.transfer, nomad_options)
    await first.start()
    quick, long = await make_task("quick", "!slow 3"), await make_task("long", "!slow 10")
    await first.submit(long)
    await until(first, "long", TaskState.RUNNING)
    # Last, and left at once: it has to end while nobody drives.
    await first.submit(quick)
    await until(first, "quick", TaskState.RUNNING)
    first.detach()
    await first.close()
    assert (await ended(first, "long")).state is TaskState.CANCELLED
    async with asyncio.timeout(60):
        while await control.transfer.end_of("quick") is None:  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.1)
    second = NomadScheduler(NomadClient(nomad_address), control.blobs, control.transfer, nomad_options)
    await second.start()
    assert second.is_unclaimed("quick") and second.is_unclaimed("long") and not second.is_unclaimed("other")
    await second.submit(quick)
    await second.submit(long)
    assert not second.is_unclaimed("quick")
    assert (await ended(second, "quick")).state is TaskState.DONE
    assert (await ended(second, "long")).state is TaskState.DONE
    async with NomadClient(nomad_address) as look:
        for name in ("quick", "long"):
            assert len(await look.allocations(f"{nomad_options.job.prefix}-{name}")) == 1, "made once"
    await second.close()


async def test_work_that_the_process_before_was_stopping_is_tried_again(
    client: NomadClient, nomad_address: NomadAddress, control: Any, make_task: Any, nomad_options: Any
) -> None:
    first = NomadScheduler(client, control.blobs, control.transfer, nomad_options)
    await first.start()
    task = await make_task("stopping", "!slow 60")
    await first.submit(task)
    await until(first, "stopping", TaskState.RUNNING)
    first.detach()
    await first.close()
    second = NomadScheduler(NomadClient(nomad_address), control.blobs, control.transfer, nomad_options)
    async with NomadClient(nomad_address) as operator:
        await operator.stop(f"{nomad_options.job.prefix}-stopping")
    await second.start()
    await second.submit(task)
    last = await ended(second, "stopping")
    assert last.state is TaskState.FAILED and last.failure.code in RETRYABLE, last
    await second.close()


async def test_a_stopped_task_on_a_node_that_nomad_does_not_reach_has_ended(
    client: NomadClient, control: Any, make_task: Any, nomad_options: Any
) -> None:
    """Nomad calls its allocation running until the node is back."""
    scheduler = NomadScheduler(client, control.blobs, control.transfer, nomad_options)
    record = scheduler._state.registry.add(await make_task("away"))
    scheduler._launcher.track(InFlightTask(record, "job-away", PlacementHint(), registered=True))
    events = scheduler._watch._handler
    allocation = {
        **{"ID": "allocation", "JobID": "job-away", "NodeID": "node", "NodeName": "node"},
        **{"ClientStatus": "running", "DesiredStatus": "run", "CreateIndex": 1, "ModifyIndex": 1},
    }
    events.allocation_changed(allocation)
    events.job_changed("JobRegistered", {"ID": "job-away", "Stop": True})
    events.allocation_changed({**allocation, "DesiredStatus": "stop", "ModifyIndex": 2})
    assert not record.ended
    events.node_changed({"ID": "node", "Status": "disconnected"})
    assert record.ended


async def test_what_nobody_asks_for_after_a_restart_is_stopped(
    client: NomadClient, nomad_address: NomadAddress, control: Any, make_task: Any, nomad_options: Any
) -> None:
    first = NomadScheduler(client, control.blobs, control.transfer, nomad_options)
    await first.start()
    await first.submit(await make_task("lonely", "!slow 60"))
    await until(first, "lonely", TaskState.RUNNING)
    first.detach()
    await first.close()
    options = replace(nomad_options, claim_s=0.5)
    second = NomadScheduler(NomadClient(nomad_address), control.blobs, control.transfer, options)
    await second.start()
    assert (await ended(second, "lonely")).state is TaskState.CANCELLED
    await second.close()


async def test_what_was_cancelled_while_no_process_drove_is_ended_for_good_by_the_next(
    client: NomadClient,
    nomad_address: NomadAddress,
    control: Any,
    make_task: Any,
    nomad_options: Any,
    worker_cache: Path,
) -> None:
    first = NomadScheduler(client, control.blobs, control.transfer, nomad_options)
    await first.start()
    for name in ("wanted", "cancelled"):
        await first.submit(await make_task(name, "!keep", unfinished=f"scene of {name}"))
        await until(first, name, TaskState.RUNNING, frames=True)
    first.detach()
    await first.close()
    second = NomadScheduler(NomadClient(nomad_address), control.blobs, control.transfer, nomad_options)
    await second.start()
    assert len([*(worker_cache / "unfinished").iterdir()]) == 6
    await second.discard_unfinished({"scene of cancelled", ""})
    assert (await ended(second, "cancelled")).state is TaskState.CANCELLED
    assert second.is_unclaimed("wanted")
    async with asyncio.timeout(60):
        while len([*(worker_cache / "unfinished").iterdir()]) > 3:  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.1)
    await second.close()


async def test_a_job_that_somebody_purges_is_registered_again(
    scheduler: Any, client: NomadClient, make_task: Any, nomad_options: Any
) -> None:
    await scheduler.submit(await make_task("a", "!slow 3"))
    await until(scheduler, "a", TaskState.RUNNING)
    await client.stop(f"{nomad_options.job.prefix}-a", purge=True)
    last = await ended(scheduler, "a")
    assert last.state is TaskState.DONE, last.failure


async def test_a_job_that_somebody_stops_by_hand_says_so(
    scheduler: Any, client: NomadClient, make_task: Any, nomad_options: Any
) -> None:
    await scheduler.submit(await make_task("a", "!slow 60"))
    await until(scheduler, "a", TaskState.RUNNING)
    await client.stop(f"{nomad_options.job.prefix}-a")
    last = await ended(scheduler, "a")
    assert (last.state, last.failure.code) == (TaskState.FAILED, "farm.job_stopped")


async def test_with_nomad_down_a_task_is_taken_and_says_why_it_waits(
    control: Any, make_task: Any, nomad_options: Any
) -> None:
    nowhere = NomadScheduler(
        NomadClient(NomadAddress("http://127.0.0.1:9")), control.blobs, control.transfer, nomad_options
    )
    await nowhere.start()
    await nowhere.submit(await make_task("a"))
    async with asyncio.timeout(60):
        while not (await nowhere.explain("a")).startswith("waits: Nomad does not answer"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await nowhere.cancel("a")
    assert (await ended(nowhere, "a")).state is TaskState.CANCELLED
    await nowhere.close()


async def test_a_program_that_is_not_on_the_node_is_named(
    client: NomadClient, control: Any, make_task: Any, nomad_options: Any
) -> None:
    job = replace(nomad_options.job, command="/nowhere/avatar")
    created = NomadScheduler(client, control.blobs, control.transfer, replace(nomad_options, job=job))
    await created.start()
    await created.submit(await make_task("a"))
    last = await ended(created, "a")
    assert (last.state, last.failure.code) == (TaskState.FAILED, "worker.not_started")
    assert "/nowhere/avatar" in last.failure.message
    await created.close()
