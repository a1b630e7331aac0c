"""The provisioning process as `soundstage up` starts it, on free ports; it can be killed and started
again.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

PATIENCE_S = 120.0


class RealServer:
    """The sockets are ours, so connections wait while the process is away."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._environment = environment
        self._sockets = [_listening(), _listening()]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._sockets[0].getsockname()[1]}"

    @property
    def tls_url(self) -> str:
        return f"https://127.0.0.1:{self._sockets[1].getsockname()[1]}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    @property
    def rss_mib(self) -> float:
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    @property
    def cpu_s(self) -> float:
        """What the server has computed so far, in user and kernel mode."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def start(self) -> None:
        plain, tls = (one.fileno() for one in self._sockets)
        sockets = ["--socket", str(plain), "--tls-socket", str(tls)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.provisioning_server", *sockets],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self._environment},
                pass_fds=(plain, tls),
            )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                httpx.get(f"{self.url}/api/health", timeout=PATIENCE_S, trust_env=False).raise_for_status()
                return
            except httpx.HTTPError:
                assert self._process.poll() is None and time.monotonic() < deadline, self.log

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(PATIENCE_S)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
        for one in self._sockets:
            one.close()


@contextmanager
def running_server(folder: Path, environment: dict[str, str]) -> Iterator[RealServer]:
    server = RealServer(folder, environment)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _listening() -> socket.socket:
    opened = socket.socket()
    opened.bind(("127.0.0.1", 0))
    opened.listen(2048)
    opened.set_inheritable(True)
    return opened
