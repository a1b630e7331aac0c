"""Measures the provisioning API with a thousand machines at once: `scripts/bench machines [MACHINES]`.

Starts the real process on loopback and prints, for machines that only call home and for machines that go the
whole way from a ramdisk to their certificates: seconds, calls, p50 and p99, what became of them, and the
server's own processor time and memory. The simulated machines share the processor with the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "provisioning_api"))

from real_server import FLEET_LIMITS, RealServer, running_server

from bench.results import add_figure, add_json_option, write_figures
from bench.simulated_fleet.fleet import Fleet, FleetResult, announce_fleet, fleet_client
from bench.simulated_fleet.plan import plan_fleet

SEED = 1


async def call_home(server: RealServer, machines: int) -> FleetResult:
    """With the key of an operator, over the plain port; they start within eight seconds."""
    async with httpx.AsyncClient(
        base_url=server.url, headers=server.headers, trust_env=False, timeout=60
    ) as operator:
        key_request = {"name": "bench", "role": "operator", "scopes": ["machine:call_home"]}
        key = (await operator.post("/api/keys", json=key_request)).raise_for_status().json()["key"]
    async with fleet_client(server.url) as client:
        return await Fleet(client).call_home(plan_fleet(machines, SEED, faulty=0, spread_s=8), key, SEED)


async def whole_way(server: RealServer, machines: int, faulty: float) -> FleetResult:
    """Report, claim, write, exchange; a rule says yes to each."""
    async with httpx.AsyncClient(
        base_url=server.url, headers=server.headers, trust_env=False, timeout=60
    ) as operator:
        plans = plan_fleet(machines, SEED, faulty=faulty, spread_s=1)
        await announce_fleet(operator, plans)
        ca = (await operator.get("/api/ca.pem")).text
    async with fleet_client(server.tls_url, ca) as client:
        return await Fleet(client).run(plans, SEED)


async def follow_inventory(path: Path, stop: asyncio.Event) -> tuple[int, int]:
    """Counts reads of the file, and incomplete ones."""
    reads = broken = 0
    while not stop.is_set():
        try:
            json.loads(await asyncio.to_thread(path.read_text))
        except ValueError:
            broken += 1
        reads += 1
        await asyncio.sleep(0.02)
    return reads, broken


async def main(machines: int, only: str | None) -> None:
    kinds = {"call": "call home", "way": "whole way", "faults": "whole way, a fifth with faults"}
    for kind, title in kinds.items():
        if only not in (None, kind):
            continue
        with tempfile.TemporaryDirectory(prefix="bench-machines-") as name:
            folder = Path(name)
            environment = {
                **FLEET_LIMITS,
                "SOUNDSTAGE_STATE_DIR": str(folder / "state"),
                "SOUNDSTAGE_LOG__LEVEL": "error",
            }
            with running_server(folder, environment) as server:
                begun_s = server.cpu_s
                stop = asyncio.Event()
                inventory = folder / "state" / "inventory" / "soundstage.json"
                reader = asyncio.create_task(follow_inventory(inventory, stop))
                if kind == "call":
                    found = await call_home(server, machines)
                else:
                    found = await whole_way(server, machines, 0.2 if kind == "faults" else 0.0)
                stop.set()
                reads, broken = await reader
                async with httpx.AsyncClient(
                    base_url=server.url, headers=server.headers, trust_env=False, timeout=60
                ) as operator:
                    listed = len((await operator.get("/api/machines")).json())
                what, calling = f"{machines} machines, {title}", kind == "call"
                add_figure(what, found.seconds, "s", goal="< 10" if calling else None)
                add_figure(f"{what}: p99 of a call", found.p99_ms, "ms", goal="< 2000" if calling else None)
                add_figure(f"{what}: processor time of the server", server.cpu_s - begun_s, "s")
                print(
                    f"{title}: {machines} machines in {found.seconds:.1f} s, {found.calls} calls, "
                    f"p50 {found.p50_ms:.0f} ms, p99 {found.p99_ms:.0f} ms, slowest "
                    f"{found.slowest_ms:.0f} ms; "
                    f"{listed} listed, ends {found.ends}, statuses {found.statuses}; "
                    f"server {server.cpu_s - begun_s:.1f} s of processor, {server.rss_mib:.0f} MiB at its "
                    f"peak; inventory read {reads} times, broken {broken}",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("call", "way", "faults"), help="one part alone")
    parser.add_argument("machines", nargs="?", type=int, default=1000)
    add_json_option(parser)
    begun = time.perf_counter()
    options = parser.parse_args()
    asyncio.run(main(options.machines, options.only))
    write_figures("machines", options.json)
    print(f"({time.perf_counter() - begun:.0f} s)")
