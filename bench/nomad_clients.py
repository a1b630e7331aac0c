"""Runs many real Nomad clients and sends segments through them: `scripts/bench nomad_clients`, as root.

Starts one Nomad server and `--clients` clients with `raw_exec` on loopback, and gives the farm's scheduler
`--segments` tasks, whose worker speaks to the real transfer routes and draws nothing. Prints segments a
second, the wait for a place, memory and processor time of server, clients with their tasks, and control
plane: the one with most of the processor is the first limit on this machine. Stops where memory is: when less
than a twentieth of it is available, before the computer stands still.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "farm"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from farm_on_nomad import ControlPlane
from nomad_cluster import NomadAgent, NomadCluster
from waiting import eventually

from bench.processes import proportional_kib
from bench.results import add_figure, add_json_option, write_figures
from farm.needs import Needs
from farm.nomad import JobOptions, NomadAddress, NomadClient, NomadOptions, NomadScheduler
from farm.states import TaskState
from farm.tasks import SegmentTask
from soundstage.blobs import BlobStore

TICKS = os.sysconf("SC_CLK_TCK")
STARTED_AT_ONCE = 4
NICE_OF_CLIENTS = 10
PLACES_OF_A_CLIENT = 1
TASKS_A_CLIENT_REMEMBERS = 2
SAMPLE_S = 5.0
LEAST_AVAILABLE = 0.05
"""Share of the computer's memory that has to be available; below, the run ends."""

# What `avatar work` says to the control plane, without its start of half a second of processor time.
WORKER = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in --control) url=$2;; --task) task=$2;; --token) file=$2;; esac
  shift
done
base="$url/api/farm/tasks/$task"
key="Authorization: Bearer $(cat "$file")"
curl -sf --retry 5 --retry-all-errors -o /dev/null -H "$key" "$base/order" || exit 1
end='{"returncode":0,"ended_by":"itself","result":{"event":"result","files":[],"duration_ms":1000,"frames":25}}'
curl -sf --retry 5 --retry-all-errors -o /dev/null -H "$key" -H 'Content-Type: application/json' \\
  -d "{\\"run\\":\\"$NOMAD_ALLOC_ID\\",\\"seq\\":1,\\"end\\":$end}" "$base/reports"
"""


@dataclass
class Run:
    """Holds what one run measured."""

    waits_s: list[float] = field(default_factory=list)
    failed: int = 0
    peak_mib: dict[str, float] = field(default_factory=dict)


def add_clients(cluster: NomadCluster, folder: Path, count: int) -> list[NomadAgent]:
    """Starts `count` clients, some at a time, and waits until the server may place tasks on all."""
    agents = [
        NomadAgent(
            f"client-{number:03}",
            folder / f"client-{number:03}",
            {
                "log_level": "WARN",
                # All have one table of mounts, which each reads for its figures; a task that has ended leaves
                # its mounts until the client forgets it.
                "telemetry": {"collection_interval": "1m"},
                "client": {
                    "enabled": True,
                    "gc_max_allocs": TASKS_A_CLIENT_REMEMBERS,
                    "gc_interval": "10s",
                    "server_join": {"retry_join": [cluster.server.rpc_address], "retry_interval": "1s"},
                    "memory_total_mb": 256 * PLACES_OF_A_CLIENT,
                    "cpu_total_compute": 100 * PLACES_OF_A_CLIENT,
                    "reserved": {"cpu": 0, "memory": 0, "disk": 0},
                    "options": {
                        "fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean,cni,consul,vault",
                        "driver.allowlist": "raw_exec",
                    },
                },
                "plugin": {"raw_exec": {"config": {"enabled": True}}},
            },
        )
        for number in range(count)
    ]
    with ThreadPoolExecutor(STARTED_AT_ONCE) as threads:
        for number, _ in enumerate(threads.map(NomadAgent.start, agents), start=1):
            if number % 10 == 0:
                print(f"  {number} clients", flush=True)
    for agent in agents:
        # They stand for other machines, and leave these cores to the control plane and the server.
        os.setpriority(os.PRIO_PGRP, agent.pid, NICE_OF_CLIENTS)
    eventually(lambda: ready_nodes(cluster) >= count, f"{count} clients are ready", 600)
    return agents


def ready_nodes(cluster: NomadCluster) -> int:
    return sum(node["Status"] == "ready" for node in cluster.server.get("/v1/nodes"))


def tree(roots: set[int]) -> Iterator[int]:
    """Yields the processes of `roots` and their descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    waiting = [*roots]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += parents.get(pid, [])


def processor_s(pid: int) -> float:
    """Returns processor seconds of a process and of its children that have ended; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(fields[place]) for place in (11, 12, 13, 14)) / TICKS


def memory_mib(pids: Iterator[int] | set[int]) -> float:
    """Returns the proportional set size of some processes."""
    return sum(map(proportional_kib, pids)) / 1024


class MemoryFull(Exception):
    """The computer's memory is the first limit. The text says what is left, and who has the rest."""


def available_share() -> float:
    """Returns the share of the computer's memory that programs can still have."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    kib = {line.partition(":")[0]: int(line.split()[1]) for line in lines}
    return kib["MemAvailable"] / kib["MemTotal"]


class Bench:
    """The processes that are measured, by their part in the farm."""

    def __init__(self, cluster: NomadCluster, clients: list[NomadAgent], control: ControlPlane) -> None:
        self.cluster = cluster
        self.control = control
        self.clients = clients
        self.pids = {
            "Nomad server": {cluster.server.pid},
            "Nomad clients and tasks": {one.pid for one in clients},
            "control plane": {os.getpid()},
        }

    def processor_seconds(self) -> dict[str, float]:
        """Processor seconds by part so far. Children count when they have ended."""
        own = time.process_time()
        return {
            "Nomad server": sum(map(processor_s, self.pids["Nomad server"])),
            "Nomad clients and tasks": sum(map(processor_s, self.pids["Nomad clients and tasks"])),
            "control plane": own,
        }

    async def watch_memory(self, run: Run) -> None:
        while True:
            found = {
                "Nomad server": memory_mib(self.pids["Nomad server"]),
                "Nomad clients": memory_mib(self.pids["Nomad clients and tasks"]),
                "Nomad clients and tasks": memory_mib(set(tree(self.pids["Nomad clients and tasks"]))),
                "control plane": memory_mib(self.pids["control plane"]),
            }
            for name, mib in found.items():
                run.peak_mib[name] = max(run.peak_mib.get(name, 0.0), mib)
            if (available := available_share()) < LEAST_AVAILABLE:
                raise MemoryFull(f"{available:.0%} of the memory is available; peaks in MiB: {run.peak_mib}")
            await asyncio.sleep(SAMPLE_S)


async def send(bench: Bench, scheduler: NomadScheduler, segments: int) -> Run:
    """Submits all segments at once and waits until the last has ended."""
    run = Run()
    spec = await bench.control.blobs.put_bytes(b'{"scenes":[{"id":"one","script":"hello"}],"title":"bench"}')
    memory = asyncio.create_task(bench.watch_memory(run))
    done = 0

    async def follow(number: int) -> None:
        nonlocal done
        task = SegmentTask(
            f"segment-{number}", "segment", spec.sha256, "one", needs=Needs(cpu_mhz=100, memory_mib=256)
        )
        begun = time.monotonic()
        await scheduler.submit(task)
        last: Any = None
        async for event in scheduler.watch(task.id):
            if event.state is TaskState.RUNNING and (last is None or last.state is not TaskState.RUNNING):
                run.waits_s.append(time.monotonic() - begun)
            last = event
        if last is None or last.state is not TaskState.DONE:
            run.failed += 1
            if run.failed <= 3:
                print(f"  {task.id}: {last}", flush=True)
        done += 1
        if done % max(1, segments // 10) == 0:
            print(f"  {done} segments", flush=True)

    work = asyncio.gather(*(follow(number) for number in range(segments)))
    await asyncio.wait([memory, work], return_when=asyncio.FIRST_COMPLETED)
    if memory.done():
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        memory.result()
    memory.cancel()
    await work
    return run


async def measure(folder: Path, cluster: NomadCluster, clients: list[NomadAgent], segments: int) -> None:
    control = ControlPlane(folder, BlobStore.open(folder / "blobs"))
    await control.create_tables()
    await control.start()
    worker = folder / "worker"
    worker.write_text(WORKER)
    worker.chmod(0o755)
    bench = Bench(cluster, clients, control)
    job = JobOptions(prefix="bench", driver="raw_exec", command=str(worker))
    options = NomadOptions(control.url, job, max_running=PLACES_OF_A_CLIENT * len(clients), poll_s=1.0)
    nomad = NomadClient(NomadAddress(cluster.server.address))
    scheduler = NomadScheduler(nomad, control.blobs, control.transfer, options)
    await scheduler.start()
    await asyncio.sleep(2.0)  # until it knows the nodes
    idle_mib = memory_mib(bench.pids["Nomad clients and tasks"]) / len(clients)
    before, begun = bench.processor_seconds(), time.monotonic()
    try:
        run = await send(bench, scheduler, segments)
        wall_s = time.monotonic() - begun
        processor_seconds = {
            name: seconds - before[name] for name, seconds in bench.processor_seconds().items()
        }
    finally:
        await scheduler.close()
        await control.stop()
        await control.database.close()
    report(run, processor_seconds, wall_s, segments, idle_mib)


def report(
    run: Run, processor_seconds: dict[str, float], wall_s: float, segments: int, idle_mib: float
) -> None:
    whole = sum(processor_seconds.values())
    cores = os.cpu_count() or 1
    rate = segments / wall_s
    print(f"  {segments - run.failed} of {segments} segments done in {wall_s:.0f} s, {rate:.1f} a second")
    print(
        f"  processor time {whole:.0f} s, so {segments * cores / whole:.1f} a second with {cores} cores alone"
    )
    for name, seconds in sorted(processor_seconds.items(), key=lambda one: -one[1]):
        each_ms = seconds / segments * 1000
        print(f"    {name:24} {seconds:8.1f} s  {seconds / whole:4.0%}  {each_ms:7.1f} ms a segment")
    print(
        f"  wait for a place: p50 {median(run.waits_s):.1f} s, p95 {quantiles(run.waits_s, n=20)[-1]:.1f} s"
    )
    print(f"  memory: {idle_mib:.0f} MiB an idle client; at its peak:")
    for name, mib in run.peak_mib.items():
        print(f"    {name:24} {mib:8.0f} MiB")
    add_figure(f"segments lost, of {segments} on as many clients as are named", run.failed, "", goal="0")
    add_figure("processor time of a segment, without drawing", whole / segments * 1000, "ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100, help="real Nomad clients (default: 100)")
    parser.add_argument("--segments", type=int, default=10_000, help="tasks (default: 10000)")
    add_json_option(parser)
    options = parser.parse_args()
    # The agents are in sessions of their own, and end with this program.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    load = os.getloadavg()[0]
    machine = f"{os.cpu_count()} cores, load {load:.1f} at the start"
    print(f"{options.clients} clients, {options.segments} segments, {machine}")
    with tempfile.TemporaryDirectory(prefix="bench-clients-", ignore_cleanup_errors=True) as name:
        # As docs/scale.md says: a short buffer costs a full listing each time that the stream breaks.
        # Nomad takes 100 connections from one address, and all clients have the same here.
        limits = {"rpc_max_conns_per_client": 0, "http_max_conns_per_client": 0}
        cluster = NomadCluster(Path(name) / "nomad", {"event_buffer_size": 100_000}, limits=limits).start()
        clients: list[NomadAgent] = []
        try:
            clients = add_clients(cluster, Path(name) / "nomad", options.clients)
            asyncio.run(measure(Path(name), cluster, clients, options.segments))
        except MemoryFull as error:
            raise SystemExit(f"First limit, memory: {error}") from error
        finally:
            for client in clients:
                client.kill()
            cluster.take_down()
    write_figures("farm", options.json)


if __name__ == "__main__":
    main()
