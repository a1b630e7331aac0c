"""Starts the package proxy of a lab (called by `up`); the proxy itself is `package_proxy.py`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from lab.control_groups import keepers_group
from lab.paths import LabPaths, cache_folder
from lab.plan import GATEWAY, PROXY_PORT, LabPlan
from pxe.image.debian import mirror_of_this_computer
from soundstage.errors import Unavailable

_PROGRAM = Path(__file__).parent / "package_proxy.py"


def start_package_proxy(lab: LabPaths, plan: LabPlan, timeout_s: float = 120) -> None:
    """Returns when it listens."""
    mirror = mirror_of_this_computer()
    ready = lab.folder / "package-proxy.ready"
    log = lab.folder / "package-proxy.log"
    spec = lab.folder / "package-proxy.json"
    spec.touch(mode=0o600)  # the address of a proxy may hold a password
    spec.write_text(
        json.dumps(
            {
                "network": str(lab.network_file),
                "address": GATEWAY,
                "port": PROXY_PORT,
                "own_group": str(keepers_group(lab)),
                "ready": str(ready),
                "cache": str(cache_folder() / "packages"),
                "upstream": mirror.addresses(),
                "http_proxy": mirror.http_proxy,
                "tunnels": list(plan.allowed_hosts),
            }
        )
    )
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", str(_PROGRAM), str(spec)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    until = time.monotonic() + timeout_s
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise Unavailable(
                "lab.package_proxy",
                f"The lab's package proxy does not start: {log.read_text()[-300:]}",
                f"Its log is {log}.",
            )
        time.sleep(0.01)
