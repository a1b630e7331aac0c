"""The provisioning process as `soundstage up` starts it, on free ports; it can be killed and started
again.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from preloaded import PreloadedProcess, preload

SERVER = "app.provisioning_server"
# uvicorn imports them when it starts.
HTTP = ("uvicorn.lifespan.on", "uvicorn.protocols.http.h11_impl")
PATIENCE_S = 120.0
# A simulated fleet speaks from one address, which is limited as one machine.
FLEET_LIMITS = {
    f"SOUNDSTAGE_PROVISIONING__{name}": "1000000"
    for name in (
        "REQUESTS_PER_MINUTE",
        "REQUESTS_PER_MINUTE_TOTAL",
        "FAILURES_PER_MINUTE",
        "NEW_MACHINES_PER_HOUR",
        "DISCOVERED_MAX",
    )
}
KEY = "5b" * 32


class RealServer:
    """The sockets are ours, so connections wait while the process is away."""

    def __init__(self, folder: Path, environment: dict[str, str], host: str = "127.0.0.1") -> None:
        self.folder = folder
        self._host = host
        self.headers = {"Authorization": f"Bearer {KEY}"}
        self.key_file = folder / "admin.key"
        self.key_file.write_text(KEY)
        self._environment = {
            "SOUNDSTAGE_API_KEY_HASHES": hashlib.sha256(KEY.encode()).hexdigest(),
            **environment,
        }
        self._sockets = [_listening(host), _listening(host)]
        self._process: PreloadedProcess | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._sockets[0].getsockname()[1]}"

    @property
    def access(self) -> dict[str, object]:
        """Settings of the section `provisioning` for whoever asks it as its administrator."""
        return {"api_url": self.url, "api_key_file": self.key_file}

    @property
    def tls_url(self) -> str:
        return f"https://{self._host}:{self._sockets[1].getsockname()[1]}"

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
            self._process = preload(SERVER, *HTTP).start(
                [SERVER, *sockets],
                output=log,
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
def running_server(
    folder: Path, environment: dict[str, str], host: str = "127.0.0.1"
) -> Iterator[RealServer]:
    server = RealServer(folder, environment, host)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _listening(host: str) -> socket.socket:
    opened = socket.socket()
    opened.bind((host, 0))
    opened.listen(2048)
    opened.set_inheritable(True)
    return opened
