"""Starts the provisioning process with sockets of a lab's network, created before it (called by
`boot_services` and by tests).

The sockets outlive the process: whoever asks while it starts, or is started anew, waits.
"""

from __future__ import annotations

import socket
import sys

from lab.network import inside
from lab.paths import LabPaths


def listening(lab: LabPaths, address: str, port: int = 0) -> socket.socket:
    """Inherited by processes that are started with it; `port` 0 is any that is free."""

    def listen() -> socket.socket:
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        opened.listen(512)
        opened.set_inheritable(True)
        return opened

    return inside(lab, listen)


def provisioning_command(plain: socket.socket, tls: socket.socket) -> list[str]:
    """To be run in the lab's network with both in `pass_fds`, from the checkout."""
    module = [sys.executable, "-m", "app.provisioning_server"]
    return [*module, "--socket", str(plain.fileno()), "--tls-socket", str(tls.fileno())]
