"""Leases on a shared card, proven on a real Nomad whose node has one fake card of 8 GiB in shares."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from farm.needs import Needs
from farm.nomad import NomadAddress, NomadClient, NomadScheduler
from farm.states import TaskState

pytestmark = pytest.mark.root

FIRST = "GPU-08080808-0000-4000-8000-0000000000a8"
LIVING = {"pending", "running"}
SECOND = "GPU-16161616-0000-4000-8000-0000000000b6"


@pytest.fixture(scope="module")
def shared(nomad_clusters: Callable[..., Any]) -> Any:
    """A node with 8 GiB in shares, and one with 16 GiB."""
    created = nomad_clusters("leases")
    for name, uuid, mib in (("first", FIRST, 8188), ("second", SECOND, 16380)):
        card = {"uuid": uuid, "model": f"RTX {mib}", "memory_mib": mib}
        created.add_client(name, [card], share_mib=1024, node_pool="gpu-shared")
    return created


@pytest.fixture
async def scheduler(shared: Any, control: Any, nomad_options: Any) -> AsyncIterator[NomadScheduler]:
    client = NomadClient(NomadAddress(shared.server.address))
    options = replace(nomad_options, max_running=8, poll_s=0.5)
    created = NomadScheduler(client, control.blobs, control.transfer, options, lambda task: 600.0)
    await created.start()
    await all_is_free(created, shared)
    yield created
    await created.close()


async def all_is_free(scheduler: Any, shared: Any) -> None:
    """Both nodes and their cards are known, and nothing runs there any more: Nomad takes another card than
    the one asked for while it does not know yet that a worker has ended.
    """
    async with asyncio.timeout(90):
        while {one["ClientStatus"] for one in shared.server.get("/v1/allocations")} & LIVING:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        while len((await scheduler.availability(needs(5), "")).places) < 1 + 3:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def place_at(scheduler: Any) -> float:
    """When the card of 16 GiB will be free."""
    return float((await scheduler.availability(needs(15), "")).places[0])


def needs(gib: float, engine: str = "lips") -> Needs:
    return Needs(engine, 1, int(gib * 1024), 100, 128)


async def ended(scheduler: Any, task_id: str) -> Any:
    async with asyncio.timeout(120):
        return [event async for event in scheduler.watch(task_id)][-1]


async def running(scheduler: Any, *task_ids: str) -> None:
    for task_id in task_ids:
        async with asyncio.timeout(120):
            async for event in scheduler.watch(task_id):
                assert not event.last, event
                if event.state is TaskState.RUNNING:
                    break


async def seen_by(control: Any, event: Any) -> dict[str, str]:
    """The environment that the worker's program had; see tests/farm/stand_in.py."""
    assert event.state is TaskState.DONE, event.failure
    (words,) = [file for file in event.result.files if file.role == "words"]
    found: dict[str, str] = json.loads(await control.blobs.read(words.sha256))
    return found


async def test_speech_and_lips_share_a_card_of_8_gib_each_capped_to_its_grant(
    scheduler: Any, make_task: Any, control: Any, shared: Any
) -> None:
    await scheduler.submit(await make_task("whole", "!slow 600", needs=needs(15)))
    await scheduler.submit(await make_task("lips", "!slow 15", needs=needs(5)))
    await scheduler.submit(await make_task("speech", "!slow 15", needs=needs(2, "speech")))
    await running(scheduler, "whole", "lips", "speech")
    await scheduler.submit(await make_task("third", needs=needs(3)))
    output = await scheduler.explain("third")
    assert output.startswith("waits: needs 3 GiB of GPU memory") and "busy" in output
    environments = [await seen_by(control, await ended(scheduler, name)) for name in ("lips", "speech")]
    assert [found["SOUNDSTAGE_VRAM_MIB"] for found in environments] == ["5120", "2048"]
    assert {found["CUDA_VISIBLE_DEVICES"] for found in environments} == {FIRST}
    assert (await ended(scheduler, "third")).state is TaskState.DONE, "what ends makes room"
    await scheduler.cancel("whole")


async def test_an_engine_that_wants_more_than_its_grant_gets_more_the_next_time(
    scheduler: Any, make_task: Any, control: Any
) -> None:
    first = await make_task("first-try", "!peak 6000", needs=needs(5, "hungry"))
    await scheduler.submit(first)
    last = await ended(scheduler, "first-try")
    assert (last.state, last.failure.code) == (TaskState.FAILED, "gpu.out_of_memory")
    await scheduler.submit(replace(first, id="second-try"))
    assert (await seen_by(control, await ended(scheduler, "second-try")))["SOUNDSTAGE_VRAM_MIB"] == "7168"
    await scheduler.submit(await make_task("as-measured", needs=needs(2, "hungry")))
    found = await seen_by(control, await ended(scheduler, "as-measured"))
    assert found["SOUNDSTAGE_VRAM_MIB"] == "7168", "6000 MiB were measured, and 5120 were too small"


async def test_after_three_failures_an_engine_stays_away_from_a_node_and_others_do_not(
    scheduler: Any, make_task: Any, control: Any, shared: Any
) -> None:
    for number in range(3):
        await all_is_free(scheduler, shared)
        task = await make_task(f"bad-{number}", f"!crash-on {FIRST}", needs=needs(6, "fragile"))
        await scheduler.submit(task)
        assert (await ended(scheduler, f"bad-{number}")).failure.code == "worker.crashed"
    await all_is_free(scheduler, shared)
    await scheduler.submit(await make_task("elsewhere", f"!crash-on {FIRST}", needs=needs(6, "fragile")))
    found = await seen_by(control, await ended(scheduler, "elsewhere"))
    assert found["CUDA_VISIBLE_DEVICES"] == SECOND
    await all_is_free(scheduler, shared)
    await scheduler.submit(await make_task("other-engine", needs=needs(6, "sturdy")))
    assert (await seen_by(control, await ended(scheduler, "other-engine")))["CUDA_VISIBLE_DEVICES"] == FIRST
    await all_is_free(scheduler, shared)
    await scheduler.submit(await make_task("big", "!slow 600", needs=needs(15)))
    await running(scheduler, "big")
    await scheduler.submit(await make_task("avoids", needs=needs(6, "fragile")))
    output = await scheduler.explain("avoids")
    assert output.startswith("waits: needs 6 GiB"), output
    await scheduler.cancel("big")
    assert (await ended(scheduler, "avoids")).state is TaskState.DONE


async def test_the_outlook_counts_places_and_follows_progress(scheduler: Any, make_task: Any) -> None:
    free = await scheduler.availability(needs(15), "")
    assert len(free.places) == 1 and free.places[0] <= time.time() and free.ahead == ()
    await scheduler.submit(await make_task("runs", "!slow 100", needs=needs(15), trace_id="mine"))
    await running(scheduler, "runs")
    await scheduler.submit(await make_task("waits", needs=needs(15), trace_id="mine"))
    async with asyncio.timeout(90):
        # Until its first report has come: before, its end is what such work usually takes.
        while (await place_at(scheduler)) > time.time() + 300:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    at_s = await place_at(scheduler)
    assert time.time() < at_s < time.time() + 100, "its own progress counts, not what is usual"
    assert [task.id for task in (await scheduler.availability(needs(15), "")).ahead] == ["waits"]
    mine = await scheduler.availability(needs(15), "mine")
    assert mine.places[0] <= time.time() and mine.ahead == (), "what it holds itself is no obstacle"
    await scheduler.cancel("waits")
    await scheduler.cancel("runs")


async def test_an_idle_farm_asks_nomad_for_nothing(scheduler: Any) -> None:
    requested: list[str] = []

    async def note(request: Any) -> None:
        requested.append(str(request.url))

    scheduler._state.client._http.event_hooks["request"].append(note)
    await asyncio.sleep(8)
    assert requested == []
