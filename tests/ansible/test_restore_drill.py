"""A drill: control machine and controller are lost. New hardware becomes the same farm, out of copies on S3
and the operator's recovery key: the same keys, conversations and videos, and workers that nobody touched.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_in_lab import MACHINE, authority, of_the_agent, packed_program, place_expert, say
from control_machines_in_lab import Studio, ask_for_video, provisioning
from farm_in_lab import EGRESS_CLOSED, ROOT, Carried, LabFarm
from journey_inputs import FARM, PROGRAM
from s3_server import INSTALL, find_program
from studio_in_lab import eventually

from lab.farm_in_a_box import Lab
from lab.plan import GATEWAY, machines_named

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.cached(*FARM, *PROGRAM, "tests/servers"),
]
WORKER = "cpu-1"
ADDRESS = "10.77.0.11"
NOMAD = f"https://{ADDRESS}:4646"
CONSUL = f"https://{ADDRESS}:8501"
S3 = f"http://{GATEWAY}:9000"
# What the drill does not look at; each takes its minutes.
LEFT_OUT = ("--skip-tags", "gpu,models,docker,health")
STATE = "/var/lib/soundstage-agent"
OF_MACHINES = "/var/lib/soundstage-provisioning/provisioning"
PROGRAM_OF_BACKUPS = ROOT / "ansible/roles/backup/files/backup"


@pytest.fixture(scope="module")
def lab(lab_names: Callable[[str], Lab], baked_layer: str) -> Lab:
    lab = lab_names("restore")
    groups = {"control": [MACHINE], "workers": [WORKER], "provisioning": [MACHINE]}
    lab.up(machines_named([MACHINE, WORKER]), groups=groups, layers=[baked_layer])
    return lab


@pytest.fixture(scope="module")
def s3_keys(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An S3 server in the lab's network, and outside of its machines."""
    program = find_program()
    if program is None:
        pytest.skip(INSTALL)
    folder = tmp_path_factory.mktemp("s3")
    (folder / "backups").mkdir()
    keys = {"AWS_ACCESS_KEY_ID": "farm", "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-bucket"}
    environment = {
        "ROOT_ACCESS_KEY": keys["AWS_ACCESS_KEY_ID"],
        "ROOT_SECRET_KEY": keys["AWS_SECRET_ACCESS_KEY"],
    }
    command = [str(program), "--quiet", "--port", S3.removeprefix("http://"), "posix", str(folder)]
    server = subprocess.Popen(
        lab.entering(["setpriv", "--pdeathsig", "KILL", *command]),
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield keys
    server.kill()
    server.wait(20)


@pytest.fixture(scope="module")
def farm(
    lab: Lab,
    engines: dict[str, Path],
    carried: Carried,
    s3_keys: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> LabFarm:
    folder = tmp_path_factory.mktemp("restore")
    program = packed_program(folder)
    backups = {
        "backup__repository": f"s3:{S3}/backups/farm",
        "backup__s3_access_key": s3_keys["AWS_ACCESS_KEY_ID"],
        "backup__blobs": "all",
    }
    farm = LabFarm(
        lab,
        folder / "farm",
        engines,
        carried | program,
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
    secret.write_text(s3_keys["AWS_SECRET_ACCESS_KEY"])
    secret.chmod(0o600)
    place_expert(farm)
    farm.converge(*LEFT_OUT)
    return farm


def test_new_hardware_becomes_the_same_farm(
    farm: LabFarm, s3_keys: dict[str, str], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    # A farm with a past: something in Consul, Nomad, the agent's memory and its files.
    assert kv(farm, "PUT", "before the loss") == 0
    video = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + os.urandom(3 << 20)
    asset = upload(farm, tmp_path, video)
    render = ask_for_video(Studio(farm, MACHINE), "Before the loss", 2)
    render.wait_for_video()
    files = render.files()
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
    names = [f"{STATE}/session.key", f"{STATE}/audit.key", f"{STATE}/tls/ca.pem"]
    names += [f"{OF_MACHINES}/keys/{name}" for name in ("ca.key", "ca.pem", "audit.key", "ssh_host_ca")]
    keys = farm.on(MACHINE, "sha256sum", *names).stdout
    node = node_ids(farm)[WORKER]
    token = farm.secret("nomad/tokens/agent.token")
    done = farm.on(MACHINE, "soundstage-backup", "take")
    assert done.returncode == 0, done.stderr
    proof = tmp_path / "recovery.key"
    proof.write_text(key)
    # Newer than the copy: this is what a loss costs.
    say(farm, "remember that the harbour closes at ten")

    # Both are lost: the control machine, and the secrets folder on the controller.
    shutil.rmtree(farm.secrets)
    lost = time.monotonic()
    booted = farm.lab.replace(MACHINE)
    environment = tmp_path / "s3.json"
    environment.write_text(json.dumps(s3_keys))
    words = ["recover-secrets", "--repository", f"s3:{S3}/backups/farm", "--host", MACHINE]
    words += ["--key", str(proof), "--to", str(farm.secrets), "--environment", str(environment)]
    recovered = subprocess.run(
        farm.lab.entering([sys.executable, "-I", str(PROGRAM_OF_BACKUPS), *words]),
        capture_output=True,
        text=True,
    )
    assert recovered.returncode == 0, recovered.stderr
    place_expert(farm)
    played = farm.converge(*LEFT_OUT, playbook="ansible/playbooks/restore.yaml")
    seconds = time.monotonic() - lost
    report = re.search(
        r"agent, .* as in \d{8}T\d{6}Z\. What changed in the [\d.]+ h since then is lost\.", played.said()
    )
    assert report, played.output[-4000:]

    assert "the ferry leaves at six" in say(farm, "what do you know about the ferry?")
    assert "closes at ten" not in say(farm, "what do you know about the harbour?")
    assert farm.on(MACHINE, "sha256sum", *names).stdout == keys
    assert download(farm, tmp_path, asset) == video
    # The studio's certificate is that of before, too.
    assert render.files() == files
    assert provisioning(farm, MACHINE, "GET", "/api/machines/new")["state"] == "accepted"
    assert provisioning(farm, MACHINE, "GET", "/api/audit/verdict")["code"] == ""
    assert kv(farm, "GET") == "before the loss"
    assert farm.secret("nomad/tokens/agent.token") == token
    eventually(lambda: WORKER in farm.takes_work(ADDRESS), "the worker, which nobody has touched")
    assert node_ids(farm)[WORKER] == node
    ask_for_video(Studio(farm, MACHINE), "After the loss", 1).wait_for_video()
    assert farm.on(MACHINE, "soundstage-backup", "take").returncode == 0
    services = f"{CONSUL}/v1/health/service/agent?passing"
    found = farm.json(services, "X-Consul-Token", farm.secret("consul/management.token"))
    assert len(found) == 1, found
    print(f"bare machine after {booted:.1f} s, the same farm after {seconds:.0f} s; {report[0]}")
    record_property("seconds", round(seconds))


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
