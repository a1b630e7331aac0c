"""OpenStack's Redfish emulator in a process of its own, as a BMC to speak to."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

PATIENCE_S = 120.0
EMULATOR = Path(sys.executable).with_name("sushy-emulator")
SYSTEM = "c7a5fdbd-cdaf-9455-926a-d65c16db1809"


@contextmanager
def redfish_emulator(folder: Path) -> Iterator[str]:
    """Its address; with the fake driver a machine is only a state."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nics = [{"mac": "00:5c:52:31:3a:9c", "ip": "172.22.0.100"}]
    system = {"uuid": SYSTEM, "name": "fake", "power_state": "Off", "nics": nics}
    config = folder / "emulator.conf"
    lines = ("FAKE_DRIVER = True", f"FAKE_SYSTEMS = [{system!r}]", f"STATE_DIR = {str(folder)!r}")
    config.write_text("".join(f"SUSHY_EMULATOR_{line}\n" for line in lines))
    with (folder / "emulator.log").open("wb") as log:
        command = [EMULATOR, "--config", config, "--fake", "-i", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                httpx.get(f"{url}/redfish/v1/Systems", trust_env=False, timeout=PATIENCE_S).raise_for_status()
                break
            except httpx.HTTPError:
                output = (folder / "emulator.log").read_text()
                assert process.poll() is None and time.monotonic() < deadline, output
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
