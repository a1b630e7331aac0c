"""A real provisioning process in a lab's network, and an operator who speaks to it from there."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from boot_services import listening, provisioning_command
from farm_in_lab import ROOT

from lab.farm_in_a_box import Lab
from lab.plan import GATEWAY

_PATIENCE_S = 120.0
KEY = "5c" * 32


class ProvisioningInLab:
    """The API at `url`, on the loopback address of the lab's network, with an administrator's key; and at
    `tls_url`, for machines."""

    def __init__(self, lab: Lab, url: str, tls_url: str, key: str = KEY) -> None:
        self._lab = lab
        self._key = key
        self.url = url
        self.tls_url = tls_url

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer as data; an error status is an AssertionError with what the API says."""
        answer = self.read(method, path, body)
        return json.loads(answer) if answer else None

    def read(self, method: str, path: str, body: Any = None) -> str:
        """The answer as it is."""
        words = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "60", "--noproxy", "*"]
        words += ["--header", f"Authorization: Bearer {self._key}"]
        words += ["--request", method, self.url + path, "--header", "Content-Type: application/json"]
        words += ["--data", json.dumps(body)] if body is not None else []
        done = subprocess.run(self._lab.entering(words), capture_output=True, text=True)
        assert done.returncode == 0, f"{method} {path}: {done.stdout} {done.stderr}"
        return done.stdout

    def adopt(self, machine: str, tags: list[str]) -> None:
        """Makes a member of a machine that runs already: it lets the API's users in, calls, is accepted and
        pinned."""
        lab, address = self._lab, self._lab.plan.machine(machine).address
        user_ca = self.ask("GET", "/api/inventory")["all"]["vars"]["ssh_hardening__also_trusted"][0]
        trust = "TrustedUserCAKeys /etc/ssh/first_contact.pub"
        script = 'echo "$0" > /etc/ssh/first_contact.pub; echo "$1" > /etc/ssh/sshd_config.d/90-first.conf'
        done = lab.run(machine, ["sh", "-ec", f"{script}; systemctl reload ssh", user_ca["authority"], trust])
        assert done.returncode == 0, done.stderr
        self.ask("POST", "/api/ready-for-provisioning", {"hostname": machine, "ip": address})
        self.ask("POST", f"/api/machines/{machine}/accept", {})
        self.ask("PATCH", f"/api/machines/{machine}", {"tags": tags})
        line = lab.run(machine, ["ssh-keygen", "-l", "-f", "/etc/ssh/ssh_host_ed25519_key.pub"]).stdout
        pinned = self.ask("POST", f"/api/machines/{machine}/pin", {"fingerprint": line.split()[1]})
        # Its run of Ansible may have begun before the answer was read.
        assert pinned["state"] in ("enrolled", "configuring"), pinned

    def end_of(self, run: str, seconds: float = 1200) -> dict[str, Any]:
        """The run, when it is over."""
        until = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = self.ask("GET", f"/api/runs/{run}")
            if found["state"] not in ("queued", "running"):
                return found
            assert time.monotonic() < until, found
            time.sleep(1)


@contextmanager
def provisioning_in(lab: Lab, folder: Path, environment: dict[str, str]) -> Iterator[ProvisioningInLab]:
    """The process, until the block ends. What it keeps is below `folder`."""
    sockets = [listening(lab.paths, at) for at in ("127.0.0.1", GATEWAY)]
    with (folder / "provisioning.log").open("ab") as log:
        process = subprocess.Popen(
            lab.entering(provisioning_command(*sockets)),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env={
                **lab.environment(),
                "SOUNDSTAGE_STATE_DIR": str(folder / "state"),
                "SOUNDSTAGE_API_KEY_HASHES": hashlib.sha256(KEY.encode()).hexdigest(),
                "SOUNDSTAGE_PROVISIONING__TLS_NAMES": GATEWAY,
                **environment,
            },
            pass_fds=[one.fileno() for one in sockets],
        )
    urls = [
        f"{scheme}://{one.getsockname()[0]}:{one.getsockname()[1]}"
        for scheme, one in zip(("http", "https"), sockets, strict=True)
    ]
    made = ProvisioningInLab(lab, *urls)
    try:
        # The sockets are ours: the first question waits until somebody answers.
        made.ask("GET", "/api/health")
        yield made
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)
        for one in sockets:
            one.close()
