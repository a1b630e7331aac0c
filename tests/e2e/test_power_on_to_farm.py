"""From power-on to a node of the farm: an empty computer boots from the network, gets an image with what the
roles install, is configured by the playbook, is called ready by Nomad, and a task runs on it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "ansible"))
sys.path.insert(0, str(Path(__file__).parents[1] / "lab_fixture"))

from farm_in_lab import ANSIBLE, ROOT, LabFarm, sha256
from lab_machines import lab_names as lab_names
from provisioning_in_lab import ProvisioningInLab

from lab.farm_in_a_box import Lab
from lab.image_tree import tree_with_roles
from lab.mirror import mirror_of_this_computer
from lab.places import cache_folder
from lab.plan import GATEWAY, NETWORK_PREFIX, PROXY_PORT, machines_named
from lab.power_on import PORT, PowerOn
from lab.qemu_machine import QemuMachine, QemuPlan, make_empty_disk, why_no_qemu
from pxe.image.build import BuiltImage, build_image
from pxe.image.recipe import Kernel, Mirror, Recipe

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(7200)]
PATIENCE_S = 3600.0
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  roles: [common, ssh_hardening, consul, nomad]
"""
JOB = {
    "ID": "first-task",
    "Type": "batch",
    "Datacenters": ["*"],
    "Constraints": [{"LTarget": "${node.unique.name}", "RTarget": "node1", "Operand": "="}],
    "TaskGroups": [
        {
            "Name": "one",
            "Tasks": [
                {
                    "Name": "one",
                    "Driver": "exec",
                    "Config": {"command": "/bin/sh", "args": ["-c", "exit 0"]},
                    "Resources": {"CPU": 50, "MemoryMB": 32},
                }
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def engines() -> dict[str, Path]:
    if why_no_qemu() or not (ANSIBLE / "ansible-playbook").exists():
        pytest.skip("QEMU and Ansible's environment: `scripts/setup test` installs them")
    # Only with cgo has Nomad the driver that isolates tasks.
    done = subprocess.run(
        [ROOT / "tools" / "build", "nomad", "consul"],
        capture_output=True,
        text=True,
        env={**os.environ, "CGO_ENABLED": "1", "SOUNDSTAGE_TOOLS_PINNED": "1"},
    )
    if done.returncode != 0:
        pytest.skip(f"Nomad and Consul cannot be built: {done.stderr.strip()}")
    return {name: Path(path) for name, path in (line.split("\t") for line in done.stdout.splitlines())}


def variables_of(engines: dict[str, Path], secrets: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        "farm__secrets": str(secrets),
        "common__farm_networks": [f"{NETWORK_PREFIX}.0/24"],
        "common__apt_proxy": f"http://{GATEWAY}:{PROXY_PORT}",
        "nomad__memory_total_mib": 1024,
    }
    for engine, program in engines.items():
        found |= {f"{engine}__source": "file", f"{engine}__file": str(program)}
        found[f"{engine}__file_sha256"] = sha256(program)
    return found


@pytest.fixture(scope="module")
def image(engines: dict[str, Path]) -> BuiltImage:
    """With Nomad, Consul and all packages in it; made once for these roles."""
    inventory = cache_folder() / "inventory-for-images"
    inventory.mkdir(parents=True, exist_ok=True)
    variables = variables_of(engines, cache_folder() / "secrets-for-images")
    (inventory / "farm.yaml").write_text(yaml.safe_dump({"all": {"vars": variables}}))
    mirror = mirror_of_this_computer()
    return build_image(
        Recipe(kernel=Kernel.CLOUD),
        mirror=Mirror(mirror.main, mirror.security, mirror.http_proxy),
        ssh_user="root",
        name="farm",
        tree=tree_with_roles(inventory, ROOT, ANSIBLE, Kernel.CLOUD, print),
        say=print,
    )


def test_an_empty_computer_becomes_a_node_on_which_a_task_runs(
    image: BuiltImage,
    engines: dict[str, Path],
    lab_names: Callable[[str], Lab],
    tmp_path: Path,
) -> None:
    lab = lab_names("journey")
    lab.up(machines_named(["head"]))
    farm = LabFarm(lab, tmp_path, engines)
    project = tmp_path / "project"
    (project / "inventory" / "group_vars").mkdir(parents=True)
    shutil.copy(ROOT / "ansible.cfg", project)
    (project / "ansible").symlink_to(ROOT / "ansible")
    (project / "playbook.yaml").write_text(PLAYBOOK)
    variables = variables_of(engines, farm.secrets)
    (project / "inventory" / "group_vars" / "all.yaml").write_text(yaml.safe_dump(variables))
    power = PowerOn(
        lab.places,
        {
            **lab.environment(),
            "SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(project),
            "SOUNDSTAGE_PROVISIONING__ANSIBLE_BIN": str(ANSIBLE),
            "SOUNDSTAGE_PROVISIONING__SSH_USER": "root",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(tmp_path / "cp"),
        },
    )
    power.start()
    power.publish(image)

    api = ProvisioningInLab(lab, f"http://127.0.0.1:{PORT}")
    api.adopt("head", ["control"])
    run = api.end_of(api.ask("POST", "/api/runs", {"machines": ["head"]})["id"], PATIENCE_S)
    assert run["state"] == "succeeded", (run, power.call("GET", "/api/failures"))
    nomad = {"ADDRESS": f"https://{lab.plan.machine('head').address}:4646"}
    for name, file in (("CA", "ca.pem"), ("CLIENT_CERT", "operator.pem"), ("CLIENT_KEY", "operator-key.pem")):
        nomad[f"{name}_FILE"] = str(farm.secrets / "tls" / file)
    token = farm.secrets / "nomad" / "management.token"
    power.restart_api(
        {
            **{f"SOUNDSTAGE_FARM__NOMAD__{name}": value for name, value in nomad.items()},
            "SOUNDSTAGE_PROVISIONING__NOMAD_TOKEN_FILE": str(token),
            "SOUNDSTAGE_PROVISIONING__NOMAD_READY": "true",
        }
    )

    plan = QemuPlan("box", "52:54:00:5a:00:02", memory_mib=2048)
    machine = QemuMachine(lab.places, plan, make_empty_disk(tmp_path / "disk.raw", 12))
    start = time.monotonic()
    machine.power_on()
    found = power.wait_for(machine, "discovered", timeout_s=PATIENCE_S)
    power.call("POST", f"/api/machines/{found['name']}/accept", {"name": "node1"})
    power.wait_for(machine, "ready", timeout_s=PATIENCE_S)
    timeline = power.call("GET", "/api/machines/node1/timeline")
    print(f"\npower-on to ready: {time.monotonic() - start:.0f} s")
    for span in timeline["spans"]:
        print(
            f"  {span['seconds']:7.1f} s {'*' if span['critical'] else ' '} {span['source']}: {span['name']}"
        )

    management = token.read_text().strip()
    address = nomad["ADDRESS"]
    sent = farm.ask(f"{address}/v1/jobs", "X-Nomad-Token", management, "--data", json.dumps({"Job": JOB}))
    assert sent.returncode == 0, sent.stdout + sent.stderr
    deadline = time.monotonic() + PATIENCE_S
    while True:
        allocations = farm.json(f"{address}/v1/job/first-task/allocations", "X-Nomad-Token", management) or []
        if any(one["ClientStatus"] == "complete" for one in allocations):
            break
        assert time.monotonic() < deadline, allocations
        time.sleep(1)
