"""Enrols a machine of a lab as its deploy agent would: one exchange, and what it brought lies on its disk."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import httpx
from provisioning_in_lab import ProvisioningInLab

sys.path.insert(0, str(Path(__file__).parents[1] / "provisioning_api"))

from ramdisk import Ramdisk

from lab.farm_in_a_box import Lab

SSH = """\
HostCertificate /etc/ssh/ssh_host_ed25519_key-cert.pub
TrustedUserCAKeys /etc/ssh/soundstage_user_ca.pub
"""


class InTheLab:
    """As much of a client as a ramdisk needs, speaking TLS from the lab's network."""

    def __init__(self, lab: Lab, api: ProvisioningInLab, ca: Path) -> None:
        self._lab = lab
        self._url = api.tls_url
        self._ca = ca

    async def post(self, path: str, json: Any) -> httpx.Response:
        return self.posted(path, json)

    def posted(self, path: str, body: Any, token: str = "") -> httpx.Response:
        words = [
            "curl",
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--noproxy",
            "*",
            "--cacert",
            self._ca,
        ]
        words += ["--header", "Content-Type: application/json", "--data", json.dumps(body)]
        words += ["--header", f"Authorization: Bearer {token}"] if token else []
        command = self._lab.entering([*map(str, words), "--write-out", "\n%{http_code}", self._url + path])
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        text, _, status = done.stdout.rpartition("\n")
        return httpx.Response(int(status), text=text, request=httpx.Request("POST", self._url + path))


def enrol(lab: Lab, api: ProvisioningInLab, name: str, folder: Path) -> dict[str, Any]:
    """Reports, is accepted, exchanges its token, and keeps what it got where the deploy agent puts it."""
    ca = folder / f"ca-of-{name}.pem"
    done = subprocess.run(
        lab.entering(["curl", "--silent", "--fail", "--output", str(ca), f"{api.url}/api/ca.pem"])
    )
    assert done.returncode == 0
    ramdisk = Ramdisk(
        cast(httpx.AsyncClient, InTheLab(lab, api, ca)),
        address=lab.plan.machine(name).address,
        host_key=lab.run(name, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]).stdout,
    )
    asyncio.run(ramdisk.discover()).raise_for_status()
    api.ask("POST", f"/api/machines/{ramdisk.machine_id}/accept", {"name": name, "code": ramdisk.code})
    token = asyncio.run(ramdisk.token())
    member: dict[str, Any] = asyncio.run(ramdisk.enrol(token)).raise_for_status().json()
    home = {"api": api.tls_url, "name": name, "token": member["call_home_token"]}
    engines = {key: member[key] for key in ("machine_id", "name", "nomad", "consul")}
    for path, content in {
        "/etc/ssh/ssh_host_ed25519_key-cert.pub": member["host_certificate"],
        "/etc/ssh/soundstage_user_ca.pub": member["user_ca"],
        "/etc/ssh/sshd_config.d/90-soundstage-enrolled.conf": SSH,
        "/etc/soundstage/ca.pem": member["ca"],
        "/etc/soundstage/engines.json": json.dumps(engines),
        "/etc/soundstage/call-home.json": json.dumps(home),
    }.items():
        script = 'mkdir -p "$(dirname "$0")"; umask 077; printf "%s\\n" "$1" > "$0"'
        done = lab.run(name, ["sh", "-ec", script, path, content])
        assert done.returncode == 0, done.stderr
    assert lab.run(name, ["systemctl", "reload", "ssh"]).returncode == 0
    return member
