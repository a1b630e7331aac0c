"""A way between two peers of WebRTC that loses and delays packets, by a seeded generator; for tests."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable

Address = tuple[str, int]

_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host\r\n", re.MULTILINE)


class LossyWay:
    """Stands between two peers: each knows an address of the way in the place of the other's.

    Once `is_bad` is set, a share `loss` of the packets is dropped, and each is delayed by up to `jitter_s`.
    """

    def __init__(self, loss: float, jitter_s: float, seed: int = 22) -> None:
        self.is_bad = False
        self.passed = self.lost = 0
        self._loss = loss
        self._jitter_s = jitter_s
        self._chance = random.Random(seed)  # noqa: S311
        self._ends: list[_End] = []

    async def replace_address(self, description: str) -> str:
        """Returns a session description with an address of this way; packets to it reach the one that it had.

        To be called with the offer, then with the answer.
        """
        found = _CANDIDATE.findall(description)
        host, port = next(one for one in found if ":" not in one[0])
        # What comes in here goes to the other end, and from there to the peer of that end.
        end = _End((host, int(port)), self._pass)
        self._ends.append(end)
        await end.open(host)
        for one, other in zip(self._ends, reversed(self._ends), strict=True):
            one.other = other
        line = f"a=candidate:1 1 udp 2130706431 {host} {end.port} typ host\r\n"
        begun, lines = False, []
        for one in description.splitlines(keepends=True):
            if not _CANDIDATE.match(one):
                lines.append(one)
            elif not begun:
                lines.append(line)
            begun = _CANDIDATE.match(one) is not None
        return "".join(lines)

    def close(self) -> None:
        for end in self._ends:
            end.close()

    def _pass(self, send: Callable[[], None]) -> None:
        if self.is_bad and self._chance.random() < self._loss:
            self.lost += 1
            return
        self.passed += 1
        if self.is_bad and self._jitter_s:
            asyncio.get_running_loop().call_later(self._chance.random() * self._jitter_s, send)
        else:
            send()


class _End(asyncio.DatagramProtocol):
    """The address that stands for `peer`: what comes in is sent to it by the other end."""

    def __init__(self, peer: Address, pass_on: Callable[[Callable[[], None]], None]) -> None:
        self.peer = peer
        self.other = self
        self._pass_on = pass_on
        self._socket: asyncio.DatagramTransport | None = None

    async def open(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        self._socket, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))

    @property
    def port(self) -> int:
        assert self._socket is not None
        return int(self._socket.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._pass_on(lambda: self.other.send(data, self.peer))

    def send(self, data: bytes, peer: Address) -> None:
        if self._socket is not None and not self._socket.is_closing():
            self._socket.sendto(data, peer)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
