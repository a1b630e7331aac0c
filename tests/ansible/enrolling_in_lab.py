"""Enrols a machine of a lab as its deploy agent would: one exchange, and what it brought lies on its disk."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from provisioning_in_lab import ProvisioningInLab

sys.path.insert(0, str(Path(__file__).parents[1] / "provisioning_api"))

from ramdisk import Ramdisk, new_csr

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


@dataclass
class LabRamdisk:
    """The deploy agent of one machine of the lab: the same hardware at each start from the network, with the
    credential that its disk had.
    """

    lab: Lab
    api: ProvisioningInLab
    name: str
    folder: Path
    ramdisk: Ramdisk | None = None

    def start(self) -> Ramdisk:
        """Reports from the network, with a new key, and proves that it was a member."""
        ca = self.folder / f"ca-of-{self.name}.pem"
        done = subprocess.run(
            self.lab.entering(
                ["curl", "--silent", "--fail", "--output", str(ca), f"{self.api.url}/api/ca.pem"]
            )
        )
        assert done.returncode == 0
        self.client = InTheLab(self.lab, self.api, ca)
        before = self.ramdisk
        same = {} if before is None else {"macs": before.macs, "uuid": before.uuid, "member": before.member}
        self.ramdisk = Ramdisk(
            cast(httpx.AsyncClient, self.client),
            address=self.lab.plan.machine(self.name).address,
            host_key=self.lab.run(self.name, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]).stdout,
            **same,
        )
        asyncio.run(self.ramdisk.discover()).raise_for_status()
        return self.ramdisk

    def exchange(self) -> dict[str, Any]:
        """Exchanges its token, and keeps what it got where the deploy agent puts it."""
        assert self.ramdisk is not None
        lab, name = self.lab, self.name
        key = ec.generate_private_key(ec.SECP256R1())
        token = asyncio.run(self.ramdisk.token())
        answer = asyncio.run(self.ramdisk.enrol(token, csr=new_csr(key=key)))
        member: dict[str, Any] = answer.raise_for_status().json()
        serial = x509.load_pem_x509_certificate(member["certificate"].encode()).serial_number
        self.ramdisk.member = (str(serial), key)
        home = {"api": self.api.tls_url, "name": name, "token": member["call_home_token"]}
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

    def call_home(self, member: dict[str, Any]) -> None:
        """Says that it is there, as an installed machine does at each boot."""
        call = {"hostname": self.name, "ip": self.lab.plan.machine(self.name).address}
        answer = self.client.posted("/api/ready-for-provisioning", call, member["call_home_token"])
        answer.raise_for_status()


def enrol(lab: Lab, api: ProvisioningInLab, name: str, folder: Path) -> dict[str, Any]:
    """Reports, is accepted, exchanges its token, and keeps what it got."""
    machine = LabRamdisk(lab, api, name, folder)
    ramdisk = machine.start()
    api.ask("POST", f"/api/machines/{ramdisk.machine_id}/accept", {"name": name, "code": ramdisk.code})
    return machine.exchange()
