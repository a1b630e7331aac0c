"""Finds free ports for servers that tests start."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_LOWEST = 10_000
# From here on the kernel gives ports to outgoing connections, also between the look and the server's start.
_OUTGOING = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])

# Tests seed `random`; processes with one seed would meet at one port.
_random = random.SystemRandom()
_returned: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Returns different TCP ports that were free a moment ago, and none that it has returned before."""
    found: list[int] = []
    while len(found) < count:
        port = _random.randrange(_LOWEST, _OUTGOING)
        if port not in _returned and _is_free(port):
            _returned.add(port)
            found.append(port)
    return found


def free_port() -> int:
    """Returns a TCP port that was free a moment ago."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
