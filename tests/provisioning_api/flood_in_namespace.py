"""A flood from one address of a network namespace while a machine at another one boots; prints what happened.

Run by `test_flood_in_namespace.py` under `unshare --net`, with the server's folder and the size of the flood.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from ramdisk import Ramdisk
from real_server import RealServer, running_server

SERVER, MACHINE, ATTACKER = "10.66.0.1", "10.66.0.7", "10.66.0.66"
DISKS = [{"name": f"sd{n}", "bytes": 1 << 40, "model": "x" * 150, "serial": f"{n:060}"} for n in range(120)]


def client_at(server: RealServer, ca: Path, address: str) -> httpx.AsyncClient:
    trusted = ssl.create_default_context(cafile=str(ca))
    transport = httpx.AsyncHTTPTransport(verify=trusted, local_address=address)
    return httpx.AsyncClient(transport=transport, base_url=server.tls_url, timeout=120)


def stored_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "state" / "provisioning").glob("provisioning.db*"))


async def flooded(server: RealServer, ca: Path, folder: Path, size: int) -> dict[str, object]:
    codes: Counter[str] = Counter()

    async def attack(client: httpx.AsyncClient, number: int) -> None:
        invented = Ramdisk(client, hardware={"disks": DISKS, "memory_mib": number})
        try:
            answer = await (invented.discover() if number % 2 else invented.enrol(f"{number:043}"))
            codes[answer.json().get("code") if answer.is_error else "taken in"] += 1
        except httpx.HTTPStatusError as error:
            codes[error.response.json()["code"]] += 1

    async with client_at(server, ca, ATTACKER) as attacker, client_at(server, ca, MACHINE) as machine:
        before = stored_bytes(folder)
        flood = asyncio.gather(*(attack(attacker, number) for number in range(size)))
        begun = time.monotonic()
        honest = Ramdisk(machine, address=MACHINE, hardware={"memory_mib": 64})
        discovered = await honest.discover()
        claimed = await honest.claim()
        honest_s = time.monotonic() - begun
        await flood
        for number in range(size // 13):
            honest.hardware = {"disks": DISKS, "memory_mib": number}
            await honest.discover()
    return {
        "codes": codes,
        "honest": [discovered.status_code, claimed.status_code],
        "honest_s": round(honest_s, 2),
        "stored_bytes": stored_bytes(folder) - before,
        "rss_mib": round(server.rss_mib),
    }


def main(folder: Path, size: int) -> None:
    for command in (
        ["ip", "link", "set", "lo", "up"],
        *(["ip", "address", "add", f"{address}/32", "dev", "lo"] for address in (SERVER, MACHINE, ATTACKER)),
    ):
        subprocess.run(command, check=True)
    environment = {
        "SOUNDSTAGE_STATE_DIR": str(folder / "state"),
        "SOUNDSTAGE_LOG__LEVEL": "info",
        "SOUNDSTAGE_LOG__FORMAT": "json",
        "SOUNDSTAGE_PROVISIONING__TLS_NAMES": SERVER,
    }
    with running_server(folder, environment, SERVER) as server:
        ca = folder / "ca.pem"
        ca.write_text(httpx.get(f"{server.url}/api/ca.pem", trust_env=False, timeout=60).text)
        found = asyncio.run(flooded(server, ca, folder, size))
        lines = len(server.log.splitlines())
    print(json.dumps(found | {"log_lines": lines}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
