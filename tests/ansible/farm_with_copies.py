"""A farm of one control machine and a worker, with copies on S3 in the lab's network, for drills in which the
control machine and the controller's secrets are lost: what it held before, and whether it is the same farm
afterwards.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agent_in_lab import MACHINE, authority, of_the_agent, place_expert, say
from control_machines_in_lab import RenderInLab, Studio, ask_for_video, provisioning
from farm_in_lab import EGRESS_CLOSED, ROOT, Carried, LabFarm
from s3_server import INSTALL, find_program
from studio_in_lab import eventually

from lab.farm_in_a_box import Lab
from lab.plan import GATEWAY, machines_named

WORKER = "cpu-1"
ADDRESS = "10.77.0.11"
NOMAD = f"https://{ADDRESS}:4646"
CONSUL = f"https://{ADDRESS}:8501"
S3 = f"http://{GATEWAY}:9000"
S3_KEYS = {"AWS_ACCESS_KEY_ID": "farm", "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-bucket"}
# What the drills do not look at; each takes its minutes.
LEFT_OUT = ("--skip-tags", "gpu,models,docker,health")
STATE = "/var/lib/soundstage-agent"
OF_MACHINES = "/var/lib/soundstage-provisioning/provisioning"
KEYS = (
    *(f"{STATE}/{name}" for name in ("session.key", "audit.key", "tls/ca.pem")),
    *(f"{OF_MACHINES}/keys/{name}" for name in ("ca.key", "ca.pem", "audit.key", "ssh_host_ca")),
)
PROGRAM_OF_BACKUPS = ROOT / "ansible/roles/backup/files/backup"


@contextmanager
def s3_server(lab: Lab, folder: Path) -> Iterator[None]:
    """An S3 server in the lab's network, and outside of its machines."""
    program = find_program()
    if program is None:
        pytest.skip(INSTALL)
    (folder / "backups").mkdir()
    environment = {
        "ROOT_ACCESS_KEY": S3_KEYS["AWS_ACCESS_KEY_ID"],
        "ROOT_SECRET_KEY": S3_KEYS["AWS_SECRET_ACCESS_KEY"],
    }
    command = [str(program), "--quiet", "--port", S3.removeprefix("http://"), "posix", str(folder)]
    server = subprocess.Popen(
        lab.entering(["setpriv", "--pdeathsig", "KILL", *command]),
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        server.kill()
        server.wait(20)


@contextmanager
def farm_with_copies(
    lab: Lab, layer: str, engines: dict[str, Path], carried: Carried, folder: Path
) -> Iterator[LabFarm]:
    """The farm after its first run; its S3 server runs until the block ends."""
    groups = {"control": [MACHINE], "workers": [WORKER], "provisioning": [MACHINE]}
    lab.up(machines_named([MACHINE, WORKER]), groups=groups, layers=[layer])
    (folder / "s3").mkdir()
    with s3_server(lab, folder / "s3"):
        backups = {
            "backup__repository": f"s3:{S3}/backups/farm",
            "backup__s3_access_key": S3_KEYS["AWS_ACCESS_KEY_ID"],
            "backup__blobs": "all",
        }
        farm = LabFarm(
            lab,
            folder / "farm",
            engines,
            carried,
            {
                "control": {**of_the_agent("exec"), **backups},
                "workers": {"nomad__gpu_plugin": False, **EGRESS_CLOSED},
            },
            # Workers know by it where they may go.
            {"farm__agent": MACHINE},
        )
        (farm.secrets / "backup").mkdir(parents=True, mode=0o700)
        farm.secrets.chmod(0o700)
        secret = farm.secrets / "backup" / "s3.secret"
        secret.write_text(S3_KEYS["AWS_SECRET_ACCESS_KEY"])
        secret.chmod(0o600)
        place_expert(farm)
        farm.converge(*LEFT_OUT)
        yield farm


@dataclass(frozen=True)
class Contents:
    """Contents of the farm when its newest copy is made. `recovery_key` is the operator's."""

    recovery_key: str
    upload: bytes
    asset: str
    render: RenderInLab
    files: dict[str, str]
    keys: str
    node: str
    token: str


def fill(farm: LabFarm, folder: Path) -> Contents:
    """Puts something into Consul, Nomad, the agent's memory and its files, takes a copy, and adds what is
    newer than the copy."""
    assert kv(farm, "PUT", "before the loss") == 0
    content = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + os.urandom(3 << 20)
    asset = upload(farm, folder, content)
    render = ask_for_video(Studio(farm, MACHINE), "Before the loss", 2)
    render.wait_for_video()
    # The worker made it although it reaches neither the bucket nor the control machine's SSH.
    assert dial(farm, *S3.removeprefix("http://").split(":")) == "No route to host"
    assert (dial(farm, ADDRESS, "22"), dial(farm, ADDRESS, "4647")) == ("No route to host", "")
    say(farm, "remember that the ferry leaves at six")
    provisioning(
        farm, MACHINE, "POST", "/api/ready-for-provisioning", {"hostname": "new", "ip": "10.77.0.77"}
    )
    provisioning(farm, MACHINE, "POST", "/api/machines/new/accept", {})
    key = farm.on(MACHINE, "soundstage-backup", "key").stdout.strip()
    farm.converge("--tags", "backup")
    contents = Contents(
        recovery_key=key,
        upload=content,
        asset=asset,
        render=render,
        files=render.files(),
        keys=farm.on(MACHINE, "sha256sum", *KEYS).stdout,
        node=node_ids(farm)[WORKER],
        token=farm.secret("nomad/tokens/agent.token"),
    )
    done = farm.on(MACHINE, "soundstage-backup", "take")
    assert done.returncode == 0, done.stderr
    # This is what a loss costs.
    say(farm, "remember that the harbour closes at ten")
    return contents


def lose_secrets(farm: LabFarm) -> None:
    """The folder on the controller, without which nobody enters a machine of the farm."""
    shutil.rmtree(farm.secrets)


def recover_secrets(farm: LabFarm, contents: Contents, folder: Path) -> None:
    """Brings the secrets folder back with the recovery key alone."""
    proof, environment = folder / "recovery.key", folder / "s3.json"
    proof.write_text(contents.recovery_key)
    environment.write_text(json.dumps(S3_KEYS))
    words = ["recover-secrets", "--repository", f"s3:{S3}/backups/farm", "--host", MACHINE]
    words += ["--key", str(proof), "--to", str(farm.secrets), "--environment", str(environment)]
    recovered = subprocess.run(
        farm.lab.entering([sys.executable, "-I", str(PROGRAM_OF_BACKUPS), *words]),
        capture_output=True,
        text=True,
    )
    assert recovered.returncode == 0, recovered.stderr


def restore(farm: LabFarm) -> str:
    """Runs the playbook on the new hardware; returns its sentence on what is lost."""
    place_expert(farm)
    played = farm.converge(*LEFT_OUT, playbook="ansible/playbooks/restore.yaml")
    report = re.search(
        r"agent, .* as in \d{8}T\d{6}Z\. What changed in the [\d.]+ h since then is lost\.", played.said()
    )
    assert report, played.output[-4000:]
    return report[0]


def require_the_same(farm: LabFarm, before: Contents, folder: Path) -> None:
    """Compares the farm with what it held when the copy was made, and gives it work."""
    assert "the ferry leaves at six" in say(farm, "what do you know about the ferry?")
    assert "closes at ten" not in say(farm, "what do you know about the harbour?")
    assert farm.on(MACHINE, "sha256sum", *KEYS).stdout == before.keys
    assert download(farm, folder, before.asset) == before.upload
    # The studio's certificate is that of before, too.
    assert before.render.files() == before.files
    assert provisioning(farm, MACHINE, "GET", "/api/machines/new")["state"] == "accepted"
    assert provisioning(farm, MACHINE, "GET", "/api/audit/verdict")["code"] == ""
    assert kv(farm, "GET") == "before the loss"
    assert farm.secret("nomad/tokens/agent.token") == before.token
    eventually(lambda: WORKER in farm.takes_work(ADDRESS), "the worker, which nobody has touched")
    assert node_ids(farm)[WORKER] == before.node
    ask_for_video(Studio(farm, MACHINE), "After the loss", 1).wait_for_video()
    assert farm.on(MACHINE, "soundstage-backup", "take").returncode == 0
    services = f"{CONSUL}/v1/health/service/agent?passing"
    found = farm.json(services, "X-Consul-Token", farm.secret("consul/management.token"))
    assert len(found) == 1, found


def kv(farm: LabFarm, method: str, value: str = "") -> Any:
    """A value in Consul: 0 when it was written, or what is there."""
    url, token = f"{CONSUL}/v1/kv/drill", farm.secret("consul/management.token")
    if method == "PUT":
        return farm.ask(url, "X-Consul-Token", token, "--request", "PUT", "--data", value).returncode
    return farm.ask(f"{url}?raw", "X-Consul-Token", token).stdout


def dial(farm: LabFarm, address: str, port: str) -> str:
    """Returns why a program of the worker cannot connect; empty where it can."""
    done = farm.on(WORKER, "timeout", "5", "bash", "-c", f"< /dev/tcp/{address}/{port}")
    return "" if done.returncode == 0 else done.stderr.strip().rpartition(": ")[2]


def node_ids(farm: LabFarm) -> dict[str, str]:
    found = farm.json(f"{NOMAD}/v1/nodes", "X-Nomad-Token", farm.secret("nomad/management.token")) or []
    return {node["Name"]: node["ID"] for node in found if node["Status"] == "ready"}


def studio(farm: LabFarm, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "60", "--noproxy", "*"]
    command += ["--cacert", str(authority(farm)), "--header", "@-", *words]
    header = f"Authorization: Bearer {farm.secret('agent/admin.key')}\n".encode()
    done = subprocess.run(farm.lab.entering(command), input=header, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def upload(farm: LabFarm, folder: Path, content: bytes) -> str:
    """A picture that is large enough to matter; returns its id."""
    file = folder / "upload.png"
    file.write_bytes(content)
    typed = ("--header", "Content-Type: application/octet-stream", "--data-binary", f"@{file}")
    answer = studio(farm, *typed, f"https://{ADDRESS}:8443/api/assets?name=film")
    return str(json.loads(answer.stdout)["id"])


def download(farm: LabFarm, folder: Path, asset: str) -> bytes:
    file = folder / "download"
    studio(farm, "--output", str(file), f"https://{ADDRESS}:8443/api/assets/{asset}/file")
    return file.read_bytes()
