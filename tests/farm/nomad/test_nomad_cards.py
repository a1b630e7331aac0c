"""Segments that need a GPU find the right card on a real Nomad with fake cards."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from metric_values import metric_value, read_state

from farm.needs import Needs
from farm.nomad import NomadAddress, NomadClient, NomadScheduler
from farm.nomad.state_metrics import read_farm_state
from farm.states import TaskState
from soundstage.telemetry import Metrics

pytestmark = pytest.mark.root

SMALL, LARGE = "GPU-08080808-0000-4000-8000-000000000008", "GPU-24242424-0000-4000-8000-000000000024"
TWIN = "GPU-32323232-0000-4000-8000-000000000032"
SHARED = "GPU-10101010-0000-4000-8000-000000000010"


@pytest.fixture(scope="module")
def gpus(nomad_clusters: Callable[..., Any]) -> Any:
    """Whole cards of 8 and 24 GiB on two nodes, and one of 10 GiB in shares on a third."""
    # A node that is silent counts as down after seconds, so that a test can wait for it.
    created = nomad_clusters("gpus", {"heartbeat_grace": "10s", "min_heartbeat_ttl": "3s"})
    small = {"uuid": SMALL, "model": "GTX 1080", "memory_mib": 8188, "compute_capability": 61}
    large = {"uuid": LARGE, "model": "RTX 4090", "memory_mib": 24564, "compute_capability": 89}
    created.add_client("small", [small])
    created.add_client("large", [large])
    card = {"uuid": SHARED, "model": "RTX 3080", "memory_mib": 10240, "compute_capability": 86}
    created.add_client("shared", [card], share_mib=1024, node_pool="gpu-shared")
    return created


@pytest.fixture
async def scheduler(gpus: Any, control: Any, nomad_options: Any) -> AsyncIterator[NomadScheduler]:
    client = NomadClient(NomadAddress(gpus.server.address))
    options = replace(nomad_options, max_running=8, poll_s=0.5)
    created = NomadScheduler(client, control.blobs, control.transfer, options)
    await created.start()
    await all_nodes_are_counted(gpus)
    yield created
    await created.close()


async def all_nodes_are_counted(gpus: Any) -> None:
    """On a busy machine a node can miss a heartbeat: a test begins when all are ready and were looked at."""
    for _ in range(300):
        nodes = await asyncio.to_thread(gpus.server.get, "/v1/nodes")
        if all(node["Status"] == "ready" for node in nodes):
            break
        await asyncio.sleep(0.2)
    await asyncio.sleep(1.5)


def needs(vram_gib: float, gpus: int = 1) -> Needs:
    return Needs(engine="lips", gpus=gpus, vram_mib=int(vram_gib * 1024), cpu_mhz=200, memory_mib=128)


async def running(scheduler: Any, task_id: str, seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        async for event in scheduler.watch(task_id):
            assert not event.last, event
            if event.state is TaskState.RUNNING:
                return


async def waits(scheduler: Any, task_id: str, reason: str) -> str:
    """Why the task waits, as soon as the reason is known."""
    async with asyncio.timeout(60):
        while reason not in (output := await scheduler.explain(task_id)):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.1)
    return str(output)


def end_processes_with(text: str) -> None:
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and text in (entry / "cmdline").read_text():
                os.kill(int(entry.name), signal.SIGKILL)


def job_of(gpus: Any, task_id: str) -> str:
    (name,) = [
        job["ID"]
        for job in gpus.server.get("/v1/jobs")
        if job["ID"].endswith(f"-{task_id}") and not job["Stop"]
    ]
    return str(name)


async def cards_of(gpus: Any, task_id: str) -> tuple[str, list[str]]:
    """The node and the card instances of a task's last allocation."""
    newest = max(gpus.allocations(job_of(gpus, task_id)), key=lambda one: int(one["CreateIndex"]))
    allocation = gpus.server.get(f"/v1/allocation/{newest['ID']}")
    devices = allocation["AllocatedResources"]["Tasks"]["avatar"]["Devices"] or []
    return allocation["NodeName"], [one for device in devices for one in device["DeviceIDs"]]


async def test_an_old_card_is_left_to_others_though_its_memory_would_do(
    scheduler: Any, make_task: Any, gpus: Any
) -> None:
    plain = needs(2, gpus=1)
    recent = replace(plain, compute=87)
    await scheduler.submit(await make_task("recent", "!slow 60", needs=recent))
    await running(scheduler, "recent")
    assert await cards_of(gpus, "recent") == ("large", [LARGE])
    definition = gpus.server.get(f"/v1/job/{job_of(gpus, 'recent')}")
    (device,) = definition["TaskGroups"][0]["Tasks"][0]["Resources"]["Devices"]
    request = {(one["LTarget"], one["Operand"], one["RTarget"]) for one in device["Constraints"]}
    assert ("${device.attr.compute_capability}", ">=", "87") in request
    await scheduler.submit(await make_task("none-such", needs=replace(plain, compute=120)))
    output = await waits(scheduler, "none-such", "attributes")
    assert output.startswith("waits")
    await scheduler.cancel("none-such")
    await scheduler.cancel("recent")


async def test_a_large_segment_gets_the_large_card_and_the_next_one_waits_with_a_reason(
    scheduler: Any, make_task: Any, gpus: Any
) -> None:
    await scheduler.submit(await make_task("big", "!slow 60", needs=needs(16)))
    await running(scheduler, "big")
    assert await cards_of(gpus, "big") == ("large", [LARGE])
    await scheduler.submit(await make_task("next", "!slow 60", needs=needs(16)))
    output = await waits(scheduler, "next", "busy")
    assert output.startswith("waits: needs 16 GiB of GPU memory") and "large" in output
    jobs = [job["ID"] for job in gpus.server.get("/v1/jobs")]
    assert not any(name.endswith("-next") for name in jobs), "what cannot run is not given to Nomad"
    await scheduler.cancel("big")
    await running(scheduler, "next")
    assert await cards_of(gpus, "next") == ("large", [LARGE])


async def test_two_segments_share_one_card(scheduler: Any, make_task: Any, gpus: Any) -> None:
    for name, gib in (("speech", 2), ("lips", 5)):
        await scheduler.submit(await make_task(name, "!slow 60", needs=needs(gib)))
        await running(scheduler, name)
    places = [await cards_of(gpus, name) for name in ("speech", "lips")]
    assert [node for node, _ in places] == ["shared", "shared"]
    assert [len(cards) for _, cards in places] == [2, 5]
    assert {card.partition("#")[0] for _, cards in places for card in cards} == {SHARED}

    shown = Metrics()
    read_farm_state(shown, scheduler.placer)
    card = {"node": "shared", "card": SHARED}
    held = await read_state(shown, "leases_mib", **card, kind="held")
    free = await read_state(shown, "leases_mib", **card, kind="free")
    assert held == 7 * 1024 and held + free == await read_state(shown, "card_memory_mib", **card)
    assert (await read_state(shown, "nodes", state="ready") or 0) >= 3
    assert metric_value("nomad_dispatch_seconds") == 2


async def test_work_is_taken_off_a_card_that_fails_and_ends_well_elsewhere(
    scheduler: Any, make_task: Any, gpus: Any, watched: Any
) -> None:
    await scheduler.submit(await make_task("moved", "!slow 20", needs=needs(16)))
    await running(scheduler, "moved")
    assert (await cards_of(gpus, "moved"))[0] == "large"
    try:
        gpus.clients["large"].cards.remove(LARGE)
        gpus.clients["small"].cards.change(SMALL, memory_mib=24564)
        async with asyncio.timeout(150):
            last = (await watched(scheduler, "moved"))[-1]
        assert last.state is TaskState.DONE, last.failure
        (job,) = [one["ID"] for one in gpus.server.get("/v1/jobs") if one["ID"].endswith("-moved")]
        places = sorted(gpus.allocations(job), key=lambda allocation: int(allocation["CreateIndex"]))
        assert [allocation["NodeName"] for allocation in places] == ["large", "small"]
        assert metric_value("tasks_moved", reason="card") == metric_value("tasks_moved") == 1
    finally:
        gpus.clients["large"].cards.set([{"uuid": LARGE, "model": "RTX 4090", "memory_mib": 24564}])
        gpus.clients["small"].cards.change(SMALL, memory_mib=8188)


async def test_what_ran_on_a_node_that_dies_goes_on_elsewhere_and_is_made_once(
    scheduler: Any, make_task: Any, gpus: Any, watched: Any
) -> None:
    twin = gpus.add_client("twin", [{"uuid": TWIN, "model": "RTX 5090", "memory_mib": 32607}])
    await scheduler.submit(await make_task("lost", "!slow 9", needs=needs(30)))
    await running(scheduler, "lost")
    assert (await cards_of(gpus, "lost"))[0] == "twin"
    (job,) = [one["ID"] for one in gpus.server.get("/v1/jobs") if one["ID"].endswith("-lost")]
    gpus.clients["large"].cards.set([{"uuid": LARGE, "model": "RTX 4090", "memory_mib": 32607}])
    try:
        twin.kill()
        # A machine that dies takes its tasks along; an agent alone would not.
        (allocation,) = gpus.allocations(job)
        end_processes_with(allocation["ID"])
        async with asyncio.timeout(200):
            last = (await watched(scheduler, "lost"))[-1]
        assert last.state is TaskState.DONE, last.failure
        states = {one["NodeName"]: one["ClientStatus"] for one in gpus.allocations(job)}
        assert states["twin"] == "lost" and states["large"] in ("running", "complete")
        assert metric_value("tasks_moved", reason="lost") == metric_value("tasks_moved") == 1
    finally:
        gpus.clients["large"].cards.set([{"uuid": LARGE, "model": "RTX 4090", "memory_mib": 24564}])
