"""`kill -9` at random moments, of all that makes videos: each render comes out, once, and nothing is left."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from program_inputs import PROGRAM

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))
sys.path.insert(0, str(Path(__file__).parent))
from kill_drill import ROLES, TASKS_PER_RENDER, Drill
from nomad_cluster import nomad_clusters  # noqa: F401 - a fixture is used by its name
from waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.cached(*PROGRAM)]

PARTS = ("server process", "control plane", "worker", "nomad client", "nomad server")
SEED = 20261120
RENDERS_AT_ONCE = 3
REAL_ROUND = 2


@pytest.fixture
def drill(nomad_clusters: Callable[..., Any], tmp_path: Path) -> Iterator[Drill]:  # noqa: F811
    made = Drill(nomad_clusters("kills"), tmp_path)
    made.start_server()
    yield made
    made.stop_server()


@pytest.mark.timeout(900)
def test_five_kills_lose_nothing_double_nothing_and_leave_nothing(drill: Drill) -> None:
    survive(drill, rounds=5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_kills_lose_nothing_double_nothing_and_leave_nothing(drill: Drill) -> None:
    survive(drill, rounds=50)


def survive(drill: Drill, *, rounds: int) -> None:
    """Each part is hit in every five rounds, in an order and at moments that the seed decides. From the sixth
    round on a second part dies with the first.
    """
    dice = random.Random(SEED)  # noqa: S311 - dice, no secret
    order: list[str] = []
    try:
        for number in range(rounds):
            order = order or dice.sample(PARTS, len(PARTS))
            parts = [order.pop()]
            if number >= len(PARTS) and dice.random() < 0.5:
                parts.append(dice.choice([part for part in PARTS if part not in (*parts, *PARTS[:2])]))
            one_round(drill, number, parts, dice)
    finally:
        print(f"\n{rounds} rounds of kill -9: {drill.counts}")


def check_starts(drill: Drill, said: str, parts: list[str], tasks: int, wounded: int) -> None:
    """Each task was given to one allocation, and began once; `wounded` of them once more."""
    counts, starts, given_up = drill.counts, drill.starts(), drill.given_up()
    placed = Counter(task for task, allocation in starts if allocation not in given_up)
    twice = [task for task, times in placed.items() if times > 1]
    assert not twice, f"{said}: given to two allocations in one attempt: {twice}"
    # A node that is silent for longer than its heartbeat may be is lost to Nomad, on a busy machine soon.
    moved = len(starts) - len({task for task, _ in starts}) - counts.moved
    # A client that dies between the start of a process and the note of it starts it again; the worker sees
    # to it that the first one ends (avatar/work/run.py).
    again = starts.total() - len(starts) - counts.again
    assert again + moved == 0 or {"nomad client", "nomad server"} & {*parts}, f"{said}: {starts}"
    made = starts.total() - counts.starts
    counts.moved, counts.again, counts.starts = counts.moved + moved, counts.again + again, starts.total()
    assert tasks <= made <= tasks + wounded + again + moved, f"{said}: {made} workers were started"


def one_round(drill: Drill, number: int, parts: list[str], dice: random.Random) -> None:
    real = number == REAL_ROUND
    count = 1 if real else RENDERS_AT_ONCE
    before, wounded = drill.counts.renders, drill.counts.kills["worker"]
    ids = [drill.submit(f"round {number} render {one}", real=real) for one in range(count)]
    time.sleep(dice.uniform(0.0, 2.0))
    # A worker first: once Nomad is down, none may be there and none can start.
    for part in sorted(parts, key=lambda part: part != "worker"):
        drill.kill(part, dice)
    time.sleep(dice.uniform(0.0, 2.0))
    # The server first: a client is ready when it is a node of it.
    for part in sorted(parts, key=lambda part: part != "nomad server"):
        drill.revive(part)
    views = [drill.finished(one) for one in ids]
    drill.make_stand_ins()
    said = f"round {number}, killed: {', '.join(parts)}"

    assert {view["state"] for view in views} == {"done"}, f"{said}: {[view['error'] for view in views]}"
    assert all({output["role"] for output in view["outputs"]} == ROLES for view in views), said
    assert drill.counts.renders == before + count
    assert len(drill.call("GET", "/api/renders?limit=500")) == drill.counts.renders, f"{said}: doubled"
    videos = [path for path in (drill.home / "out").glob("*.mp4") if not path.name.startswith(".")]
    assert len(videos) == drill.counts.renders, f"{said}: files are missing or doubled"

    check_starts(drill, said, parts, count * TASKS_PER_RENDER, drill.counts.kills["worker"] - wounded)
    left: list[str] = []

    def nothing_left() -> bool:
        left[:] = drill.orphans()
        return not left

    try:
        eventually(nothing_left, "workers and executors to be gone", 60)
    except AssertionError:
        pytest.fail(f"{said}: left behind: {left}")
    assert drill.bad_blobs() == [], said
    print(f"{said}: {count} renders; so far {drill.counts.starts} workers, {drill.counts.blobs} blobs")
