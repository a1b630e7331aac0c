"""Measures what requests without keys store, limits off and on: `scripts/bench flood [REQUESTS]`.

Starts the real provisioning process on loopback, once without limits by address and once with those that it
has by itself, and sends the same to both from one address: invented machines with 120 disks each, guessed
tokens, and ever new hardware of one machine. Prints one JSON object: answers per second and by code, and what
is kept (machines, audit records, bytes of database and log). Sender and server share the processor. That
repeated refusals are one record, and that bodies end at 64 KiB, cannot be switched off.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "provisioning_api"))

from ramdisk import Ramdisk
from real_server import FLEET_LIMITS, RealServer, running_server

AT_ONCE = 16
DISKS = [{"name": f"sd{n}", "bytes": 1 << 40, "model": "x" * 150, "serial": f"{n:060}"} for n in range(120)]
OFF = {**FLEET_LIMITS, "SOUNDSTAGE_PROVISIONING__HARDWARE_REPORTS": "1000"}


async def main(requests: int) -> None:
    found = {"requests": requests, "load": round(os.getloadavg()[0], 1)}
    for limits, changed in (("off", OFF), ("on", {})):
        with tempfile.TemporaryDirectory(prefix="bench-flood-") as name:
            folder = Path(name)
            environment = {
                "SOUNDSTAGE_STATE_DIR": str(folder / "state"),
                "SOUNDSTAGE_PROVISIONING__TLS_NAMES": "127.0.0.1",
                "SOUNDSTAGE_LOG__LEVEL": "info",
                **changed,
            }
            with running_server(folder, environment) as server:
                found[f"limits_{limits}"] = await measure(server, folder, requests)
    print(json.dumps(found, indent=1))


async def measure(server: RealServer, folder: Path, requests: int) -> dict[str, object]:
    """Flood one server, and look at what it has kept."""
    async with httpx.AsyncClient(
        base_url=server.url, headers=server.headers, trust_env=False, timeout=120
    ) as operator:
        trusted = ssl.create_default_context(cadata=(await operator.get("/api/ca.pem")).text)
        stored, logged, cpu_s = count_stored_bytes(folder), len(server.log), server.cpu_s
        records = (await operator.get("/api/audit/verdict")).json()["lines"]
        begun = time.perf_counter()
        async with httpx.AsyncClient(
            base_url=server.tls_url, verify=trusted, trust_env=False, timeout=120
        ) as stranger:
            codes = await flood(stranger, requests)
        seconds = time.perf_counter() - begun
        machines = (await operator.get("/api/machines", params={"limit": 1000})).json()
        verdict = (await operator.get("/api/audit/verdict")).json()
    return {
        "answers_per_s": round(codes.total() / seconds, 1),
        "answers": dict(codes.most_common()),
        "machines_kept": len(machines),
        "audit_records": verdict["lines"] - records,
        "database_bytes": count_stored_bytes(folder) - stored,
        "log_bytes": len(server.log) - logged,
        "server_cpu_s": round(server.cpu_s - cpu_s, 1),
    }


async def flood(client: httpx.AsyncClient, requests: int) -> Counter[str]:
    """Sends a third of each kind; counts the answers by code."""
    codes: Counter[str] = Counter()
    numbers = iter(range(requests))
    known = Ramdisk(client)

    async def call(number: int) -> None:
        match number % 3:
            case 0:
                code = await report(Ramdisk(client, hardware={"disks": DISKS, "memory_mib": number}))
            case 1:
                code = await request_refusal(Ramdisk(client), f"{number:043}")
            case _:
                known.hardware = {"disks": DISKS, "memory_mib": number}
                code = await report(known)
        codes[code] += 1

    async def sender() -> None:
        for number in numbers:
            await call(number)

    await asyncio.gather(*(sender() for _ in range(AT_ONCE)))
    return codes


async def report(ramdisk: Ramdisk) -> str:
    try:
        return code_of(await ramdisk.discover())
    except httpx.HTTPStatusError as error:
        # Already the question for a challenge was refused.
        return code_of(error.response)


async def request_refusal(ramdisk: Ramdisk, token: str) -> str:
    """Returns the answer to a guessed token of an enrolment."""
    try:
        return code_of(await ramdisk.enrol(token))
    except httpx.HTTPStatusError as error:
        return code_of(error.response)


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["code"]) if answer.is_error else "taken in"


def count_stored_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "state" / "provisioning").glob("provisioning.db*"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requests", type=int, nargs="?", default=1200)
    asyncio.run(main(parser.parse_args().requests))
