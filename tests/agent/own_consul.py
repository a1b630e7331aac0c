"""A real Consul on loopback that tests of experts may freeze, kill and start again."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from ports import free_ports

ROOT = Path(__file__).parents[2]
WAIT_S = 60


class OwnConsul:
    """A real Consul on loopback that keeps its address over its deaths, and nothing else."""

    def __init__(self, folder: Path) -> None:
        built = subprocess.run([ROOT / "tools/build", "consul"], capture_output=True, text=True, check=False)
        self._program = built.stdout.split()[-1] if built.returncode == 0 and built.stdout.split() else ""
        if not self._program or shutil.which(self._program) is None:
            pytest.skip("needs Consul: run tools/build consul")
        self._folder = folder
        ports = free_ports(6)
        names = ("http", "server", "serf_lan", "serf_wan", "dns", "grpc_tls")
        self._flags = [f"-hcl=ports {{ {name} = {port} }}" for name, port in zip(names, ports, strict=True)]
        self.url = f"http://127.0.0.1:{ports[0]}"

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=warn",
                 "-hcl=ports { grpc = -1 }", *self._flags],
                stdout=log, stderr=log, cwd=self._folder,
            )  # fmt: skip
        _wait_for_leader(self.url, self._process)

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(WAIT_S)


def _wait_for_leader(url: str, process: subprocess.Popen[bytes]) -> None:
    with httpx.Client(base_url=url, trust_env=False, transport=httpx.HTTPTransport(retries=60)) as client:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError("Consul ended at its start")
            with suppress(httpx.HTTPError):
                # Answers at once, or when there is a leader.
                if client.get("/v1/status/leader").text.strip('"\n'):
                    return
    raise RuntimeError("Consul has no leader")
