"""From power-on to picture: an empty computer boots from the network, gets an image with what the roles
install, is configured by the playbook, is called ready by Nomad, and draws the video that somebody asks for.
"""

from __future__ import annotations

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

from boot_services import PORT, TLS_PORT, BootServices
from farm_in_lab import ANSIBLE, ROOT, LabFarm, found_uv, of_engines, packed_worker
from journey_inputs import FARM, PROGRAM
from lab_machines import lab_names as lab_names
from provisioning_in_lab import ProvisioningInLab
from qemu_machine import QemuMachine, QemuPlan, make_empty_disk, why_no_qemu
from studio_in_lab import Studio, probe

from lab.farm_in_a_box import Lab
from lab.image_tree import tree_with_roles
from lab.paths import cache_folder
from lab.plan import GATEWAY, NETWORK_PREFIX, PROXY_PORT, machines_named
from pxe.image.build import BuiltImage, build_image
from pxe.image.debian import mirror_of_this_computer
from pxe.image.recipe import Kernel, Recipe

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.cached(*FARM, *PROGRAM, "tests/servers"),
]
PATIENCE_S = 3600.0
SENTENCE = "Make a square video in 360p where Nova says: I was drawn on a new machine."


@pytest.fixture(scope="module")
def engines() -> dict[str, Path]:
    if why_no_qemu() or not (ANSIBLE / "ansible-playbook").exists():
        pytest.skip("QEMU and Ansible's environment: `scripts/setup test` installs them")
    done = subprocess.run([ROOT / "tools" / "build", "nomad", "consul"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"Nomad and Consul cannot be built: {done.stderr.strip()}")
    return {name: Path(path) for name, path in (line.split("\t") for line in done.stdout.splitlines())}


def variables_of(engines: dict[str, Path], secrets: Path) -> dict[str, Any]:
    return {
        "farm__secrets": str(secrets),
        "common__farm_networks": [f"{NETWORK_PREFIX}.0/24"],
        "common__apt_proxy": f"http://{GATEWAY}:{PROXY_PORT}",
        "nomad__memory_total_mib": 2048,
        "worker__uv": found_uv(),
        # The lab's network leads to no time server.
        "health__clock_kept_in_step": False,
        **of_engines(engines),
    }


@pytest.fixture(scope="module")
def image(engines: dict[str, Path]) -> BuiltImage:
    """With Nomad, Consul and all packages in it; made once for these roles."""
    inventory = cache_folder() / "inventory-for-images"
    inventory.mkdir(parents=True, exist_ok=True)
    variables = variables_of(engines, cache_folder() / "secrets-for-images")
    (inventory / "farm.yaml").write_text(yaml.safe_dump({"all": {"vars": variables}}))
    return build_image(
        Recipe(kernel=Kernel.CLOUD),
        mirror=mirror_of_this_computer(),
        ssh_user="root",
        name="farm",
        tree=tree_with_roles(inventory, ROOT, ANSIBLE, Kernel.CLOUD, print),
        say=print,
    )


def test_an_empty_computer_becomes_a_node_and_draws_a_video(
    image: BuiltImage,
    engines: dict[str, Path],
    lab_names: Callable[[str], Lab],
    tmp_path: Path,
) -> None:
    lab = lab_names("journey")
    lab.up(machines_named(["head"]))
    farm = LabFarm(lab, tmp_path, engines)
    power = BootServices(
        lab.paths,
        {
            **lab.environment(),
            "SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(
                project_in(tmp_path, variables_of(engines, farm.secrets))
            ),
            "SOUNDSTAGE_PROVISIONING__ANSIBLE_BIN": str(ANSIBLE),
            "SOUNDSTAGE_PROVISIONING__SSH_USER": "root",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(tmp_path / "cp"),
        },
    )
    power.start()
    power.publish(image)
    urls = (f"http://127.0.0.1:{PORT}", f"https://{GATEWAY}:{TLS_PORT}")
    api = ProvisioningInLab(lab, *urls, power.key)
    api.adopt("head", ["control"])
    run = api.end_of(api.ask("POST", "/api/runs", {"machines": ["head"]})["id"], PATIENCE_S)
    assert run["state"] == "succeeded", (run, power.call("GET", "/api/failures"))
    nomad = f"https://{lab.plan.machine('head').address}:4646"
    power.restart_api(ways_into(nomad, farm.secrets))

    plan = QemuPlan("box", "52:54:00:5a:00:02", memory_mib=3072)
    machine = QemuMachine(lab.paths, plan, make_empty_disk(tmp_path / "disk.raw", 12))
    start = time.monotonic()
    machine.power_on()
    found = power.wait_for(machine, "discovered", timeout_s=PATIENCE_S)
    power.accept(found, "node1")
    power.wait_for(machine, "ready", timeout_s=PATIENCE_S)
    print(f"\npower-on to ready: {time.monotonic() - start:.0f} s")
    print_timeline(power.call("GET", "/api/machines/node1/timeline"))

    studio = Studio(farm, tmp_path / "studio", nomad)
    shutil.copy(ROOT / "personas" / "nova.yaml", studio.home / "personas")
    studio.open()
    try:
        # An emulated worker takes minutes for seconds of video.
        told, _ = (asked := studio.start("ask", SENTENCE)).communicate(timeout=PATIENCE_S)
        assert asked.returncode == 0, told
    finally:
        studio.close()
    print(f"power-on to picture: {time.monotonic() - start:.0f} s")
    (video,) = studio.videos()
    assert video.name in told
    streams = {one["codec_type"]: one for one in probe(video)["streams"]}
    assert (streams["video"]["width"], streams["video"]["height"]) == (360, 360)
    assert int(streams["video"]["nb_read_frames"]) > 25 and "audio" in streams
    token = farm.secret("nomad/management.token")
    drawn = farm.json(f"{nomad}/v1/allocations", "X-Nomad-Token", token)
    ours = [one for one in drawn if one["JobID"].startswith("soundstage-")]
    assert {(one["NodeName"], one["ClientStatus"]) for one in ours} == {("node1", "complete")}, drawn


def project_in(folder: Path, variables: dict[str, Any]) -> Path:
    """What an operator keeps: the playbook of a farm, its variables, and the worker that it brings."""
    project = folder / "project"
    (project / "inventory" / "group_vars").mkdir(parents=True)
    shutil.copy(ROOT / "ansible.cfg", project)
    (project / "ansible").symlink_to(ROOT / "ansible")
    (project / "playbook.yaml").write_text("- import_playbook: ansible/playbooks/site.yaml\n")
    # Packed here, for a run in the lab's network has no way to a package index.
    worker = packed_worker(project / "avatar")
    (project / "inventory" / "group_vars" / "all.yaml").write_text(
        yaml.safe_dump({**variables, **worker.variables})
    )
    return project


def ways_into(nomad: str, secrets: Path) -> dict[str, str]:
    """Settings of the provisioning API of a farm that is there: it asks Nomad whether machines are ready."""
    files = {"CA": "ca.pem", "CLIENT_CERT": "operator.pem", "CLIENT_KEY": "operator-key.pem"}
    return {
        "SOUNDSTAGE_FARM__NOMAD__ADDRESS": nomad,
        **{
            f"SOUNDSTAGE_FARM__NOMAD__{name}_FILE": str(secrets / "tls" / file)
            for name, file in files.items()
        },
        "SOUNDSTAGE_PROVISIONING__NOMAD_TOKEN_FILE": str(secrets / "nomad" / "management.token"),
        "SOUNDSTAGE_PROVISIONING__NOMAD_READY": "true",
    }


def print_timeline(timeline: dict[str, Any]) -> None:
    for span in timeline["spans"]:
        critical = "*" if span["critical"] else " "
        print(f"  {span['seconds']:7.1f} s {critical} {span['source']}: {span['name']}")
