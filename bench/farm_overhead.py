"""Measures the overhead of the farm on top of Nomad: `scripts/bench farm_overhead [PART...]`, as root.

Starts a Nomad of its own on loopback and prints how soon a worker runs after a submit and after a bare
dispatch, how many jobs a second go to Nomad, what 5 000 waiting segments cost its server, how often an idle
farm asks Nomad for something, and how much faster two workers are than one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "farm"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from farm_on_nomad import AVATAR, STAND_IN, ControlPlane
from nomad_cluster import NomadCluster

from bench.results import add_figure, add_json_option, write_figures
from farm.needs import Needs
from farm.nomad import JobOptions, NomadAddress, NomadClient, NomadOptions, NomadScheduler
from farm.nomad.registration import JOB_FILE, Registration
from farm.nomad.request import PlacementHint, job_id
from farm.states import TaskState
from farm.tasks import SegmentTask
from soundstage.blobs import BlobStore

ROUNDS = 25
RATE_JOBS = 100
AT_ONCE = 8
WAITING = 5000
SETTLE_S = 8.0
IDLE_S = 30.0
SCENES = 8
SPEEDUP_ROUNDS = 1
ROOT = Path(__file__).resolve().parents[1]
REAL_WORKER = ROOT / "avatar" / ".venv" / "bin" / "avatar"
PINNED = ROOT / "bench" / "pinned_worker.py"


class Bench:
    """A cluster of one node, a control plane, and a worker program that writes down when it starts."""

    def __init__(self, folder: Path, cluster: NomadCluster, control: ControlPlane) -> None:
        self.folder = folder
        self.cluster = cluster
        self.control = control
        self.starts = folder / "starts"
        self.worker = folder / "worker"
        self.numbers = itertools.count()
        self.worker.write_text(
            "#!/bin/sh\n"
            f'echo "$(date +%s.%N) $NOMAD_JOB_ID" >> {self.starts}\n'
            '[ "$1" = work ] || exit 0\n'
            f'exec {AVATAR} "$@" -- {sys.executable} -I -S {STAND_IN}\n'
        )
        self.worker.chmod(0o755)
        self.pinned = folder / "pinned"
        self.address = NomadAddress(cluster.server.address)

    def options(self, max_running: int) -> NomadOptions:
        job = JobOptions(prefix=f"bench-{next(self.numbers)}", driver="raw_exec", command=str(self.worker))
        return NomadOptions(self.control.url, job, max_running=max_running, poll_s=1.0)

    async def scheduler(self, max_running: int, *, pinned: bool = False) -> NomadScheduler:
        options = self.options(max_running)
        if pinned:
            program = f"{sys.executable} {PINNED} {self.folder} {max_running} {REAL_WORKER}"
            self.pinned.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
            self.pinned.chmod(0o755)
            options = replace(options, job=replace(options.job, command=str(self.pinned)))
        scheduler = NomadScheduler(
            NomadClient(self.address), self.control.blobs, self.control.transfer, options
        )
        await scheduler.start()
        await asyncio.sleep(2.0)  # until it knows the node
        return scheduler

    async def task(
        self, scene: dict[str, Any] | None = None, size: tuple[int, int] = (320, 180)
    ) -> SegmentTask:
        name = f"task-{next(self.numbers)}"
        scene = {"id": "one", "script": "hello", **(scene or {})}
        spec = {"scenes": [scene], "title": name, "canvas": {"width": size[0], "height": size[1]}}
        blob = await self.control.blobs.put_bytes(json.dumps(spec).encode(), "application/json")
        return SegmentTask(name, "segment", blob.sha256, "one", needs=Needs(cpu_mhz=100, memory_mib=256))

    async def start_time(self, job: str) -> float:
        """Unix time at which the worker of a job began."""
        while True:
            lines = self.starts.read_text().splitlines() if self.starts.exists() else []
            for line in lines:
                at, _, name = line.partition(" ")
                if name == job:
                    return float(at)
            await asyncio.sleep(0.02)


async def latency(bench: Bench) -> None:
    """Alternately, one at a time, so that both meet the same machine."""
    scheduler, prefix = await bench.scheduler(8), f"bench-{next(bench.numbers) - 1}"
    ours: list[float] = []
    raw: list[float] = []
    async with NomadClient(bench.address) as nomad:
        by_hand = {
            "id": "raw",
            "driver": "raw_exec",
            "command": str(bench.worker),
            "cpu": 100,
            "memory_mb": 256,
        }
        await nomad.register(await nomad.parse_job(JOB_FILE.read_text(), by_hand))
        for _ in range(ROUNDS):
            task = await bench.task()
            begun = time.time()
            await scheduler.submit(task)
            ours.append(await bench.start_time(job_id(prefix, task.id)) - begun)
            await wait_for_end(scheduler, task.id)
            begun = time.time()
            raw.append(await bench.start_time(await bare_dispatch(nomad, "raw")) - begun)
            await asyncio.sleep(0.3)
    await scheduler.close()
    for name, seconds in (("our submit", ours), ("bare dispatch", raw)):
        print(f"  {name:14} p50 {median(seconds) * 1000:6.0f} ms   p95 {p95(seconds) * 1000:6.0f} ms")
    for name, value, ratio in (
        ("p50", median(ours), median(ours) / median(raw)),
        ("p95", p95(ours), p95(ours) / p95(raw)),
    ):
        add_figure(
            f"submit until the worker's first line, {name}; a bare dispatch", value * 1000, "ms", ratio=ratio
        )
    print(f"  ratio          p50 {median(ours) / median(raw):6.2f}      p95 {p95(ours) / p95(raw):6.2f}")


async def bare_dispatch(nomad: NomadClient, job_id: str) -> str:
    """Returns the id of the dispatched job."""
    answer = await nomad._json("POST", f"job/{job_id}/dispatch", {"Payload": "e30="})
    return str(answer["DispatchedJobID"])


async def rate(bench: Bench) -> None:
    """Jobs go to Nomad and none is placed: its node takes nothing meanwhile."""
    node = next(iter(bench.cluster.clients.values())).node_id
    bench.cluster.server.put(f"/v1/node/{node}/eligibility", {"Eligibility": "ineligible"})
    async with NomadClient(bench.address) as nomad:
        by_hand = {"id": "rate", "driver": "raw_exec", "command": str(bench.worker)}
        await nomad.register(await nomad.parse_job(JOB_FILE.read_text(), by_hand))
        dispatched: list[str] = []
        options = bench.options(8)
        registration = Registration(nomad, bench.control.blobs, bench.control.transfer, options)
        tasks = iter([await bench.task() for _ in range(RATE_JOBS)])

        async def dispatch() -> None:
            dispatched.append(await bare_dispatch(nomad, "rate"))

        async def register() -> None:
            task = next(tasks)
            name = job_id(options.job.prefix, task.id)
            await registration.register(task, name, PlacementHint())
            await bench.control.transfer.close(task.id)  # or the next scheduler would take it over
            dispatched.append(name)

        for name, step in (("our registration", register), ("bare dispatch", dispatch)):
            seconds = await time_step(step)
            print(f"  {name:17} {RATE_JOBS / seconds:6.0f} per second, {AT_ONCE} at a time")
        for job in (*dispatched, "rate"):
            await nomad.stop(job, purge=True)
    bench.cluster.server.put(f"/v1/node/{node}/eligibility", {"Eligibility": "eligible"})


async def time_step(step: Callable[[], Awaitable[None]]) -> float:
    """Seconds that RATE_JOBS steps take."""
    left = iter(range(RATE_JOBS))

    async def line() -> None:
        for _ in left:
            await step()

    begun = time.monotonic()
    await asyncio.gather(*(line() for _ in range(AT_ONCE)))
    return time.monotonic() - begun


async def queue(bench: Bench) -> None:
    """Two run, the rest waits on our side."""
    scheduler = await bench.scheduler(2)
    task = await bench.task({"script": "!slow 600"})
    for number in range(2):
        await scheduler.submit(replace(task, id=f"runs-{number}"))
    await asyncio.sleep(SETTLE_S)
    jobs, before = len(bench.cluster.server.get("/v1/jobs")), rss_mib(bench.cluster.server.pid)
    begun = time.monotonic()
    for number in range(WAITING):
        await scheduler.submit(replace(task, id=f"waits-{number}"))
    taken = time.monotonic() - begun
    await asyncio.sleep(SETTLE_S)
    more, after = len(bench.cluster.server.get("/v1/jobs")) - jobs, rss_mib(bench.cluster.server.pid)
    print(f"  {WAITING} segments taken in {taken:.1f} s; jobs they add to Nomad: {more}")
    add_figure(f"memory of Nomad's server for {WAITING} waiting segments", after - before, "MiB")
    print(f"  memory of the Nomad server: {before:.1f} MiB before, {after:.1f} MiB {SETTLE_S:.0f} s after")
    await scheduler.close()


async def idle(bench: Bench) -> None:
    """Nothing waits and nothing runs."""
    scheduler, requests = await bench.scheduler(8), [0]

    async def count(_: object) -> None:
        requests[0] += 1

    scheduler._state.client._http.event_hooks["request"].append(count)
    await asyncio.sleep(IDLE_S)
    add_figure("requests to Nomad by an idle farm", requests[0] * 60 / IDLE_S, "/min", goal="0")
    print(f"  requests per minute: {requests[0] * 60 / IDLE_S:.0f}, over {IDLE_S:.0f} s")
    await scheduler.close()


async def speedup(bench: Bench) -> None:
    """The real worker, each on a core of its own. What counts is the processor time of the busiest core, so
    that neither the control plane, nor Nomad, nor other programs on the machine are in the figure.
    """
    spent: dict[int, list[float]] = {1: [], 2: []}
    used = bench.folder / "used"
    words = "The quick brown fox jumps over the lazy dog, and then it does so once more. " * 4
    for workers in (1, 2) * SPEEDUP_ROUNDS:
        used.unlink(missing_ok=True)
        scheduler = await bench.scheduler(workers, pinned=True)
        # Long enough that a place which is filled half a second late does not unbalance the cores.
        scenes = [{"script": f"{words} {next(bench.numbers)}."} for _ in range(SCENES)]
        tasks = [await bench.task(scene, (1280, 720)) for scene in scenes]
        for task in tasks:
            await scheduler.submit(task)
        for task in tasks:
            await wait_for_end(scheduler, task.id)
        await scheduler.close()
        # The last one writes when its result is here already.
        while len(used.read_text().splitlines()) < SCENES:  # noqa: ASYNC110 - another program's file
            await asyncio.sleep(0.1)
        by_core: defaultdict[str, float] = defaultdict(float)
        for line in used.read_text().splitlines():
            core, seconds = line.split()
            by_core[core] += float(seconds)
        spent[workers].append(max(by_core.values()))
        print(f"  {workers} at once: busiest of {len(by_core)} cores {spent[workers][-1]:6.1f} s", flush=True)
    add_figure("speed-up of two workers over one", median(spent[1]) / median(spent[2]), "x", goal="> 1.8")
    print(f"  speed-up of two over one: {median(spent[1]) / median(spent[2]):.2f}")


async def wait_for_end(scheduler: NomadScheduler, task_id: str) -> None:
    last = [event async for event in scheduler.watch(task_id)][-1]
    if last.state is not TaskState.DONE:
        raise RuntimeError(
            f"{task_id} ended as {last.state}: {last.failure}\n{await scheduler.logs(task_id)}"
        )


def p95(values: list[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1]


def rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


PARTS: dict[str, tuple[str, Callable[[Bench], Awaitable[None]]]] = {
    "latency": (f"From submit to the worker's first line, {ROUNDS} each in turns", latency),
    "rate": (f"{RATE_JOBS} jobs to Nomad, none placed", rate),
    "queue": ("A long line", queue),
    "idle": ("An idle farm", idle),
    "speedup": (f"{SCENES} scenes, each worker on a core of its own", speedup),
}


async def measure(folder: Path, cluster: NomadCluster, parts: list[str]) -> None:
    control = ControlPlane(folder, BlobStore.open(folder / "blobs"))
    await control.create_tables()
    await control.start()
    bench = Bench(folder, cluster, control)
    load = os.getloadavg()[0]
    print(f"{datetime.now(UTC):%d %B %Y}, {os.cpu_count()} cores, load {load:.1f} at the start")
    for part in parts:
        title, run = PARTS[part]
        print(title, flush=True)
        await run(bench)
    await control.stop()
    await control.database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all unless given")
    add_json_option(parser)
    options = parser.parse_args()
    parts = options.parts or [*PARTS]
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="bench-farm-", ignore_cleanup_errors=True) as name:
        cluster = NomadCluster(Path(name) / "nomad").start()
        try:
            cluster.add_client("one")
            asyncio.run(measure(Path(name), cluster, parts))
        finally:
            cluster.take_down()
    write_figures("farm", options.json)


if __name__ == "__main__":
    main()
