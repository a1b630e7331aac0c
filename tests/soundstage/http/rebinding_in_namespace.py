"""Calls to names whose answers change, by the system's resolver and a DNS server; prints what arrived where.

Run by `test_rebinding.py` under `unshare --net --mount`, with an empty folder. `PUBLIC` is an address of
another network namespace, where a receiver waits; another one waits on loopback.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from soundstage.errors import SoundstageError
from soundstage.http import Bounds, Destinations, OwnListeners, outgoing_client

PUBLIC, LOOPBACK, PORT = "93.184.215.14", "127.0.0.1", 8080
HERE = "93.184.215.1"
ANSWERS = {
    "rebinding.example": [[PUBLIC], [LOOPBACK]],
    "both.example": [[PUBLIC, LOOPBACK]],
    "inner.example": [[LOOPBACK]],
}
BOUNDS = Bounds(silence_s=20, answer_bytes=1000, total_s=20)
ADDRESS_QUERY, INTERNET = 1, 1


class Names(asyncio.DatagramProtocol):
    """A DNS server (RFC 1035 §4) with A records of no lifetime: the next answer at each question."""

    def __init__(self) -> None:
        self.queries: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        name, question = ".".join(labels).lower(), data[12 : at + 5]
        (kind,) = struct.unpack_from("!H", data, at + 1)
        found: list[str] = []
        if kind == ADDRESS_QUERY and name in ANSWERS:
            answers = ANSWERS[name]
            found = answers[min(self.queries[name], len(answers) - 1)]
            self.queries[name] += 1
        head = data[:2] + struct.pack("!HHHHH", 0x8580 if name in ANSWERS else 0x8583, 1, len(found), 0, 0)
        records = (
            struct.pack("!HHHIH", 0xC00C, ADDRESS_QUERY, INTERNET, 0, 4) + socket.inet_aton(one)
            for one in found
        )
        self._transport.sendto(head + question + b"".join(records), source)


@asynccontextmanager
async def receiver(address: str, arrived: list[str]) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.append((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1])
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, address, PORT):
        yield


async def outside() -> None:
    """The receiver of the other namespace, until its input ends; says what has arrived."""
    print("started", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    arrived: list[str] = []
    async with receiver(PUBLIC, arrived):
        print("listening", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(arrived), flush=True)


async def called(url: str) -> str:
    try:
        async with outgoing_client(Destinations(OwnListeners(), plain_http=True), BOUNDS) as client:
            return str((await client.get(url)).status_code)
    except SoundstageError as error:
        return error.code


def inside(folder: Path) -> dict[str, object]:
    configuration = folder / "resolv.conf"
    configuration.write_text(f"nameserver {LOOPBACK}\noptions timeout:5\n")
    ip("link", "set", "lo", "up")
    subprocess.run(["mount", "--bind", configuration, "/etc/resolv.conf"], check=True)
    with subprocess.Popen(
        ["unshare", "--net", sys.executable, __file__, "outside"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "started\n"
        there = f"/proc/{other.pid}/ns/net"
        ip("link", "add", "inner", "type", "veth", "peer", "name", "outer", "netns", str(other.pid))
        ip("address", "add", f"{HERE}/24", "dev", "inner")
        ip("link", "set", "inner", "up")
        for words in (("address", "add", f"{PUBLIC}/24", "dev", "outer"), ("link", "set", "outer", "up")):
            subprocess.run(["nsenter", f"--net={there}", "ip", *words], check=True)
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "listening\n"
        found = asyncio.run(calls())
        other.stdin.write("\n")
        other.stdin.flush()
        return {**found, "arrived_outside": json.loads(other.stdout.readline())}


async def calls() -> dict[str, object]:
    arrived: list[str] = []
    loop = asyncio.get_running_loop()
    transport, names = await loop.create_datagram_endpoint(Names, local_addr=(LOOPBACK, 53))
    async with receiver(LOOPBACK, arrived):
        first = await called(f"http://rebinding.example:{PORT}/")
        request = names.queries["rebinding.example"]
        second = await called(f"http://rebinding.example:{PORT}/")
        both = await called(f"http://both.example:{PORT}/")
        inner = await called(f"http://inner.example:{PORT}/")
    transport.close()
    return {
        "first": first,
        "asked_for_the_first": request,
        "second": second,
        "both": both,
        "inner": inner,
        "arrived_on_loopback": arrived,
    }


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


if __name__ == "__main__":
    if sys.argv[1] == "outside":
        asyncio.run(outside())
    else:
        print(json.dumps(inside(Path(sys.argv[1]))))
